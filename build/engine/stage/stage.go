package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sort"
	"strings"
)

// licenceName is the staged name of the package's licence.
const licenceName = "LICENSE.node-llama-cpp"

// A plan is one platform's staged folder, before anything is written: where
// each file comes from, and the manifest that describes the result.
type plan struct {
	platform platform
	manifest Manifest
	sources  map[string]string // staged name → path in the package
}

// makePlan looks at an installed package and decides what is staged. It reads
// every library and checks that each dependency is in the set or part of the
// system, so an incomplete package is refused here and not by a dynamic linker
// on somebody's machine.
func makePlan(dir string, p platform, pin pins) (plan, error) {
	bins, err := openPackage(dir, p, pin)
	if err != nil {
		return plan{}, err
	}
	entries, err := os.ReadDir(bins)
	if err != nil {
		return plan{}, err
	}
	pl := plan{platform: p, sources: map[string]string{}}
	for _, e := range entries {
		if e.Type().IsRegular() && p.wanted(e.Name(), pin.LlamaCpp) {
			pl.sources[e.Name()] = filepath.Join(bins, e.Name())
		}
	}
	if err := checkSet(p, pin.LlamaCpp, pl.sources); err != nil {
		return plan{}, fmt.Errorf("%s%s: %w", scope, p.name, err)
	}
	pl.sources[licenceName] = filepath.Join(filepath.Dir(filepath.Dir(bins)), "LICENSE")

	pl.manifest = Manifest{
		Format: 1, Platform: p.name, GOOS: p.goos, GOARCH: p.goarch,
		Package: scope + p.name, PackageVersion: pin.Packages[scope+p.name],
		LlamaCpp: pin.LlamaCpp, Binding: pin.Binding,
		Links: []Link{
			{Name: p.short("ggml"), Target: p.versioned("ggml", pin.LlamaCpp)},
			{Name: p.short("llama"), Target: p.versioned("llama", pin.LlamaCpp)},
		},
	}
	for name, source := range pl.sources {
		file, err := describe(source)
		if err != nil {
			return plan{}, err
		}
		file.Name = name
		pl.manifest.Files = append(pl.manifest.Files, file)
	}
	sort.Slice(pl.manifest.Files, func(i, j int) bool { return pl.manifest.Files[i].Name < pl.manifest.Files[j].Name })
	return pl, nil
}

// checkSet checks a package's libraries by their own headers.
func checkSet(p platform, release string, sources map[string]string) error {
	for _, need := range []string{p.versioned("llama", release), p.versioned("ggml", release), p.short("ggml-base")} {
		if sources[need] == "" {
			return fmt.Errorf("%s is missing", need)
		}
	}
	cpu := false
	for name, path := range sources {
		img, err := readImage(p, path)
		if err != nil {
			return err
		}
		for _, dep := range img.needed {
			if base, local := img.local(dep); local && sources[base] == "" {
				return fmt.Errorf("%s needs %s, which is not among the staged libraries", name, dep)
			} else if !local && !systemLibrary(p, dep) {
				return fmt.Errorf("%s needs %s, which is neither staged nor part of the system", name, dep)
			}
		}
		cpu = cpu || strings.HasPrefix(name, "libggml-cpu-")
	}
	if !cpu {
		return fmt.Errorf("it has no CPU backend")
	}
	return nil
}

// stage makes dest what the plan says. It reports whether it had to change
// anything. An existing folder is replaced as a whole, never written into:
// processes that have its files mapped keep the old ones.
func (pl plan) stage(dest string) (changed bool, err error) {
	if pl.manifest.check(dest) == nil {
		return false, nil
	}
	parent := filepath.Dir(dest)
	if err := os.MkdirAll(parent, 0o755); err != nil {
		return false, err
	}
	// One folder for both the new and the old content, so that one removal
	// cleans up whatever happened.
	work, err := os.MkdirTemp(parent, ".stage-")
	if err != nil {
		return false, err
	}
	defer os.RemoveAll(work)
	fresh := filepath.Join(work, "new")
	if err := pl.write(fresh); err != nil {
		return false, err
	}
	if err := pl.manifest.check(fresh); err != nil {
		return false, fmt.Errorf("just staged, and already wrong: %w", err)
	}
	if err := os.Rename(dest, filepath.Join(work, "old")); err != nil && !os.IsNotExist(err) {
		return false, err
	}
	if err := os.Rename(fresh, dest); err != nil {
		if pl.manifest.check(dest) == nil { // another run was quicker
			return false, nil
		}
		return false, err
	}
	return true, nil
}

// write creates dir with the plan's content.
func (pl plan) write(dir string) error {
	if err := os.Mkdir(dir, 0o755); err != nil {
		return err
	}
	for name, source := range pl.sources {
		if err := copyFile(source, filepath.Join(dir, name)); err != nil {
			return err
		}
	}
	for _, link := range pl.manifest.Links {
		if err := os.Symlink(link.Target, filepath.Join(dir, link.Name)); err != nil {
			return err
		}
	}
	data, err := pl.manifest.encode()
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, manifestName), data, 0o644)
}

// copyFile copies rather than hard-links: signing tools write into libraries,
// and must not reach the installed package through them.
func copyFile(from, to string) error {
	src, err := os.Open(from)
	if err != nil {
		return err
	}
	defer src.Close()
	dst, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return err
	}
	if _, err := io.Copy(dst, src); err != nil {
		dst.Close()
		return fmt.Errorf("%s: %w", to, err)
	}
	return dst.Close()
}
