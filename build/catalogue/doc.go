// Command catalogue compares the entries of engine/models/catalogue with their source on
// the Hub: that the file exists, its size and its digest. With -write it puts down what it
// has found, and that it was checked.
//
//	go run ./build/catalogue [-write] [name …]
package main
