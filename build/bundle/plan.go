package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
)

// A kind says what an entry is, and so how it is written and verified.
type kind int

const (
	plain      kind = iota // a file that nothing loads
	executable             // of the platform
	library                // of the platform, opened at run time
	link
)

// An entry is one file or link. Paths have slashes and are below the root.
type entry struct {
	path string
	kind kind
	// source is the file it is a copy of; data its content if there is none;
	// target where a link points, as seen from it.
	source string
	data   []byte
	target string
}

func (e entry) mode() fs.FileMode {
	switch e.kind {
	case link:
		return fs.ModeSymlink
	case executable:
		return 0o755
	}
	return 0o644
}

// A plan is the app before anything is written.
type plan struct {
	root    string // name of the app's folder
	system  system
	entries []entry
	// engineRights are the worker's entitlements, for codesign. macOS only.
	engineRights []byte
	// minOS is the oldest macOS that the app promises to run on.
	minOS string
}

// A system is what executables and libraries are built for.
type system struct{ goos, goarch string }

// inputs is what an app is made of.
type inputs struct {
	samovar, engine string // executables
	libs            string // folder of staged libraries, see build/engine/stage
	build           string // the repository's build folder
	version         string // as `git describe` says it
}

// staged is what matters here of the libraries' manifest.
type staged struct {
	Format int    `json:"format"`
	GOOS   string `json:"goos"`
	GOARCH string `json:"goarch"`
	Files  []struct {
		Name string `json:"name"`
	} `json:"files"`
	Links []struct {
		Name   string `json:"name"`
		Target string `json:"target"`
	} `json:"links"`
}

const manifestName = "manifest.json"

func readStaged(dir string) (staged, error) {
	var s staged
	raw, err := os.ReadFile(filepath.Join(dir, manifestName))
	if err != nil {
		return s, fmt.Errorf("the engine's libraries are not staged: %w; run `make setup`", err)
	}
	if err := json.Unmarshal(raw, &s); err != nil {
		return s, fmt.Errorf("%s: %w", dir, err)
	}
	if s.Format != 1 {
		return s, fmt.Errorf("%s: %s has format %d; this program knows 1", dir, manifestName, s.Format)
	}
	return s, nil
}

// makePlan decides what the app holds.
func makePlan(in inputs) (plan, error) {
	libs, err := readStaged(in.libs)
	if err != nil {
		return plan{}, err
	}
	switch libs.GOOS {
	case "darwin":
		return planMac(in, libs)
	case "linux":
		return planLinux(in, libs)
	}
	return plan{}, fmt.Errorf("there is no app for %s", libs.GOOS)
}

// planMac lays out Samovar.app.
func planMac(in inputs, libs staged) (plan, error) {
	info, err := fillInfo(filepath.Join(in.build, "darwin", "Info.plist"), in.version)
	if err != nil {
		return plan{}, err
	}
	rights, err := readRights(filepath.Join(in.build, "darwin", "engine.entitlements"))
	if err != nil {
		return plan{}, err
	}
	p := plan{
		root: "Samovar.app", system: system{libs.GOOS, libs.GOARCH},
		minOS: info.minOS, engineRights: rights,
		entries: []entry{
			{path: "Contents/Info.plist", data: info.xml},
			{path: "Contents/MacOS/samovar", kind: executable, source: in.samovar},
			{path: "Contents/MacOS/samovar-engine", kind: executable, source: in.engine},
			{path: "Contents/Resources/Samovar.icns", source: filepath.Join(in.build, "darwin", "Samovar.icns")},
			{path: "Contents/Resources/LICENSE", source: filepath.Join(in.build, "..", "LICENSE")},
			{path: "Contents/Resources/engine-libraries.json", source: filepath.Join(in.libs, manifestName)},
		},
	}
	for _, f := range libs.Files {
		e := entry{path: "Contents/Frameworks/" + f.Name, kind: library, source: filepath.Join(in.libs, f.Name)}
		if !isLibrary(f.Name) {
			e.path, e.kind = "Contents/Resources/"+f.Name, plain
		}
		p.entries = append(p.entries, e)
	}
	for _, l := range libs.Links {
		p.entries = append(p.entries, entry{path: "Contents/Frameworks/" + l.Name, kind: link, target: l.Target})
	}
	return p, nil
}

func isLibrary(name string) bool {
	return strings.HasSuffix(name, ".dylib") || strings.HasSuffix(name, ".so")
}

// planLinux lays out the folder samovar, the libraries with their manifest as
// they are staged.
func planLinux(in inputs, libs staged) (plan, error) {
	p := plan{
		root: "samovar", system: system{libs.GOOS, libs.GOARCH},
		entries: []entry{
			{path: "samovar", kind: executable, source: in.samovar},
			{path: "samovar-engine", kind: executable, source: in.engine},
			{path: "LICENSE", source: filepath.Join(in.build, "..", "LICENSE")},
			{path: "lib/" + manifestName, source: filepath.Join(in.libs, manifestName)},
			{path: "share/applications/samovar.desktop", source: filepath.Join(in.build, "linux", "samovar.desktop")},
		},
	}
	for _, f := range libs.Files {
		e := entry{path: "lib/" + f.Name, kind: library, source: filepath.Join(in.libs, f.Name)}
		if !isLibrary(f.Name) {
			e.kind = plain
		}
		p.entries = append(p.entries, e)
	}
	for _, l := range libs.Links {
		p.entries = append(p.entries, entry{path: "lib/" + l.Name, kind: link, target: l.Target})
	}
	icons := filepath.Join(in.build, "linux", "icons")
	err := fs.WalkDir(os.DirFS(icons), ".", func(name string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			p.entries = append(p.entries, entry{path: path.Join("share/icons", name), source: filepath.Join(icons, filepath.FromSlash(name))})
		}
		return err
	})
	return p, err
}

// content is what an entry's file holds before anything signs it.
func (e entry) content() ([]byte, error) {
	if e.source == "" {
		return e.data, nil
	}
	return os.ReadFile(e.source)
}

// same says whether a file still holds what was planned.
func (e entry) same(file string) (bool, error) {
	want, err := e.content()
	if err != nil {
		return false, err
	}
	have, err := os.ReadFile(file)
	return bytes.Equal(want, have), err
}
