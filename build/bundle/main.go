package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "bundle:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	flags := flag.NewFlagSet("bundle", flag.ContinueOnError)
	var in inputs
	flags.StringVar(&in.samovar, "samovar", "", "the desktop executable")
	flags.StringVar(&in.engine, "engine", "", "the worker's executable")
	flags.StringVar(&in.libs, "libs", "", "folder of the engine's staged libraries")
	flags.StringVar(&in.build, "build", "build", "the repository's build folder")
	flags.StringVar(&in.version, "version", "dev", "the build's version")
	into := flags.String("into", filepath.Join("bin", "app"), "where to leave the app")
	identity := flags.String("sign", adHoc, "who signs, on macOS: an identity of the keychain, or - for nobody")
	if err := flags.Parse(args); err != nil {
		return err
	}
	p, err := makePlan(in)
	if err != nil {
		return err
	}
	return p.make(*into, *identity)
}

// make writes, signs, verifies and puts in place.
func (p plan) make(into, identity string) (err error) {
	if err := os.MkdirAll(into, 0o755); err != nil {
		return err
	}
	work, err := os.MkdirTemp(into, ".bundle-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(work)) }()
	fresh := filepath.Join(work, p.root)
	if err := p.write(fresh); err != nil {
		return err
	}
	signed := p.system.goos == "darwin" && runtime.GOOS == "darwin"
	if signed {
		if err := p.sign(fresh, work, identity); err != nil {
			return err
		}
	}
	if err := p.verify(fresh, signed); err != nil {
		return err
	}
	dest := filepath.Join(into, p.root)
	if err := replace(fresh, dest); err != nil {
		return err
	}
	fmt.Println("made", dest)
	switch {
	case p.system.goos == "linux":
		packed := filepath.Join(into, fmt.Sprintf("samovar-linux-%s.tar.gz", p.system.goarch))
		if err := p.archive(dest, packed); err != nil {
			return err
		}
		fmt.Println("made", packed)
	case !signed:
		fmt.Println("not signed: that needs macOS")
	}
	return nil
}
