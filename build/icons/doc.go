// Command icons makes every picture of the app that is packed with it, from the
// one drawing of the mark, frontend/public/icon.svg. It is run by hand when the
// mark changes; what it makes is committed, and its test holds the two together.
//
//	go run ./build/icons
//
// It writes, below build/:
//
//	appicon.png                      1024 px, as macOS wants it: the tile inset, its corners rounder
//	darwin/Samovar.icns              the same from 16 to 512 points
//	linux/icons/hicolor/…/apps/      PNGs of the usual sizes, edge to edge, and the drawing itself
//
// It reads no more of SVG than the mark needs (rectangles with round corners,
// strokes of straight lines with round ends) and refuses the rest, so that a new
// mark cannot come out half drawn. The menu bar's own pictures are app/tray's.
package main
