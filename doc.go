// Command samovar keeps local AI agents warm: it runs a model with llama.cpp
// and serves it on localhost to the tools that developers already use.
//
// This package is the executable's entry and nothing else: it turns signals into
// a context and hands over to package app. The model runs in another
// executable, engine/samovar-engine.
package main
