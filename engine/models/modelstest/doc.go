// Package modelstest makes model files that must be refused, each with the
// reason that must be given. It is for tests of whatever takes a model's path:
// package models itself, the worker, the whole program.
package modelstest
