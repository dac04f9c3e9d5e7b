// Package app is the composition root: it reads the command line and the
// settings, builds the server and the engine, starts them in order and stops
// them in order, and turns errors into one line and an exit code.
//
// Nothing imports it but main. What a part does lives in that part's package;
// here is only who is given what, and when.
package app
