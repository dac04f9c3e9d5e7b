package main

import (
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"samovar/engine/calm"
	"samovar/engine/internal/llama"
	"samovar/engine/internal/wire"
	"samovar/engine/worker"
)

func main() {
	calm.Process()
	os.Exit(run(os.Args[1:]))
}

func run(args []string) int {
	switch {
	case len(args) == 0:
		return serve()
	case args[0] == "version":
		fmt.Println(wire.BuildVersion)
		return 0
	case args[0] == "libraries" && len(args) == 2:
		return loadLibraries(args[1])
	default:
		fmt.Fprintln(os.Stderr, "samovar-engine is started by samovar; use `samovar serve`")
		return 2
	}
}

// loadLibraries does what every start does first, and no more: it tells whether the
// libraries are whole, of the right version, and for this processor.
func loadLibraries(dir string) int {
	if _, err := llama.Load(dir); err != nil {
		fmt.Fprintln(os.Stderr, "samovar-engine:", strings.TrimPrefix(err.Error(), llama.ErrLibrary.Error()+": "))
		return 1
	}
	fmt.Println("ggml", llama.GGMLVersion)
	return 0
}

// serve is the worker's life. The parent's end is noticed at any time, also
// while llama.cpp computes, and ends the process at once. A terminal's signals
// reach the parent, too; it decides when to leave, and lets requests end first.
func serve() int {
	signal.Ignore(os.Interrupt, syscall.SIGHUP)
	out := os.NewFile(3, "frames")
	if _, err := out.Stat(); err != nil {
		fmt.Fprintln(os.Stderr, "samovar-engine is started by samovar; use `samovar serve`")
		return 2
	}
	if err := worker.Run(os.Stdin, out, func() { os.Exit(0) }); err != nil {
		fmt.Fprintln(os.Stderr, "samovar-engine:", err)
		return 1
	}
	return 0
}
