package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "stage:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	flags := flag.NewFlagSet("stage", flag.ContinueOnError)
	dir := flags.String("dir", filepath.Join("build", "engine"), "folder with package.json and node_modules")
	into := flags.String("into", "", "stage one platform into this folder instead of DIR/staged/PLATFORM")
	flags.Usage = func() {
		fmt.Fprintf(flags.Output(), "usage: stage [-dir DIR] [-into DIR] [PLATFORM…]\nplatforms: %s, host, all (the default)\n", platformNames())
		flags.PrintDefaults()
	}
	if err := flags.Parse(args); err != nil {
		return err
	}
	picked, err := selectPlatforms(flags.Args())
	if err != nil {
		return err
	}
	if *into != "" && len(picked) != 1 {
		return fmt.Errorf("-into takes exactly one platform")
	}
	pin, err := readPins(*dir)
	if err != nil {
		return err
	}
	for _, p := range picked {
		dest := *into
		if dest == "" {
			dest = filepath.Join(*dir, "staged", p.name)
		}
		pl, err := makePlan(*dir, p, pin)
		if err != nil {
			return err
		}
		changed, err := pl.stage(dest)
		if err != nil {
			return err
		}
		if changed {
			fmt.Printf("staged llama.cpp %s for %s in %s\n", pin.LlamaCpp, p.name, dest)
		}
	}
	return nil
}
