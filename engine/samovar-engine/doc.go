// Command samovar-engine is the worker process: it owns llama.cpp and one
// model, and serves its parent, the samovar process, over two pipes (package
// wire). People do not start it; the parent does.
//
//	samovar-engine                     serve the parent: frames on stdin and descriptor 3
//	samovar-engine version             print the build version
//	samovar-engine libraries DIR       load llama.cpp's libraries from DIR, print their version
//
// Exit codes: 0 the parent has gone, 1 llama.cpp failed or the parent spoke
// nonsense, 2 wrong usage.
package main
