// Command bundle puts the desktop app together from what `make app` has built:
// on macOS Samovar.app, signed; on Linux a folder that runs from wherever it is
// put, and an archive of it. The platform is that of the engine's libraries.
//
//	go run ./build/bundle -samovar FILE -engine FILE -libs DIR -version V -into DIR
//
// It plans (a list of entries, of which nothing is written yet), writes into a
// fresh folder, signs, verifies what lies there, and only then replaces the app
// that was there before.
//
// # Samovar.app
//
//	Contents/Info.plist, Resources/Samovar.icns      build/darwin
//	Contents/MacOS/samovar, samovar-engine           executables
//	Contents/Frameworks/libllama.dylib, …            llama.cpp, where the worker finds it
//	Contents/Resources/engine-libraries.json         what the libraries were before they were signed
//
// codesign takes everything in MacOS and Frameworks for code that has a
// signature of its own, so no other file may be there, and no code elsewhere:
// that is why the libraries' manifest and licence are among the resources.
// Links are no code, and stay.
//
// # The folder on Linux
//
//	samovar/samovar, samovar-engine, lib/            as in bin/
//	samovar/share/applications, share/icons          to be linked or copied to ~/.local/share
//
// # What is verified
//
// Every entry of the plan is there, of its kind, mode and content, and nothing
// else but the signature. Each executable and library is built for the platform
// and no later system than Info.plist says. Each library that one of them asks
// for is found as the dynamic linker would (@rpath, @loader_path, $ORIGIN) and
// is inside the bundle or part of the system. All of that needs no Mac, and is
// tested with real libraries on any machine; only signing does.
package main
