// Package power knows how the machine fares and keeps it awake: whether it runs on
// battery, whether its memory is short, whether it has just slept, and a helper process
// that holds idle sleep off while something is served. What follows from that, to spare
// the battery or to free memory, is decided elsewhere.
//
// Everything that is read or parsed is a pure function of text or of a file system, and
// is tested on Linux, macOS's part as well. The files named after a system only fetch
// the text; none needs cgo.
package power
