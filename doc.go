// Command samovar serves local models to agents. See README.md for how to use
// it; its parts are put together in the package app, and nothing else is here.
package main
