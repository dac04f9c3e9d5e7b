// Command icons draws the menu bar's pictures: the mark of frontend/public/icon.svg
// in one variant for each state. It is run by hand when one of them changes; what it
// makes is committed, and its test holds the two together.
//
//	go run ./app/tray/icons
//
// There are two sets of 32 pixels. The template set is black and transparent, for
// macOS, which colours it as the bar needs. The colour set is for Linux, whose panels
// show pictures as they are, on light and on dark: a tile with the mark in white.
//
// The states are told apart by shape, not by colour alone: the pot is empty (stopped),
// half full (starting), full (ready), full under steam (busy), or has an exclamation
// mark in it (attention).
package main
