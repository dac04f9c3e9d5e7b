// Package guide carries the built-in guide model inside the executable and puts
// it where the engine can load it. The model is trained by build/guide; this
// package only embeds, writes, and checks the file. It is what answers before
// anything was downloaded.
package guide
