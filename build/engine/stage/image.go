package main

import (
	"debug/elf"
	"debug/macho"
	"fmt"
	"path"
	"slices"
	"strings"
)

// An image is what a shared library says about itself.
type image struct {
	name   string   // soname or install name; empty in a backend
	needed []string // names of the libraries that it asks for
	rpath  []string // where it looks for them
	minOS  string   // macOS only: "14.0"
	macOS  bool     // built for the macOS platform (not a simulator or iOS)
}

// readImage opens a library and checks that it is of the platform's format and
// processor.
func readImage(p platform, file string) (image, error) {
	if p.goos == "darwin" {
		return readMachO(p, file)
	}
	return readELF(p, file)
}

func readELF(p platform, file string) (image, error) {
	f, err := elf.Open(file)
	if err != nil {
		return image{}, fmt.Errorf("%s: %w", file, err)
	}
	defer f.Close()
	want := map[string]elf.Machine{"amd64": elf.EM_X86_64, "arm64": elf.EM_AARCH64}[p.goarch]
	if f.Machine != want || f.Type != elf.ET_DYN {
		return image{}, fmt.Errorf("%s: a %v for %v, not a library for %s", file, f.Type, f.Machine, p.name)
	}
	var img image
	if img.needed, err = f.DynString(elf.DT_NEEDED); err != nil {
		return image{}, fmt.Errorf("%s: %w", file, err)
	}
	for _, tag := range []elf.DynTag{elf.DT_RPATH, elf.DT_RUNPATH} {
		paths, err := f.DynString(tag)
		if err != nil {
			return image{}, fmt.Errorf("%s: %w", file, err)
		}
		for _, list := range paths {
			for one := range strings.SplitSeq(list, ":") {
				if one != "" { // CMake leaves a trailing colon
					img.rpath = append(img.rpath, one)
				}
			}
		}
	}
	if names, err := f.DynString(elf.DT_SONAME); err == nil && len(names) > 0 {
		img.name = names[0]
	}
	return img, nil
}

// Load commands that debug/macho leaves raw.
const (
	lcIDDylib      = 0xd
	lcBuildVersion = 0x32
	platformMacOS  = 1
)

func readMachO(p platform, file string) (image, error) {
	f, err := macho.Open(file)
	if err != nil {
		return image{}, fmt.Errorf("%s: %w", file, err)
	}
	defer f.Close()
	want := map[string]macho.Cpu{"amd64": macho.CpuAmd64, "arm64": macho.CpuArm64}[p.goarch]
	if f.Cpu != want || f.Type != macho.TypeDylib && f.Type != macho.TypeBundle {
		return image{}, fmt.Errorf("%s: a %v for %v, not a library for %s", file, f.Type, f.Cpu, p.name)
	}
	var img image
	for _, load := range f.Loads {
		switch load := load.(type) {
		case *macho.Dylib:
			img.needed = append(img.needed, load.Name)
		case *macho.Rpath:
			img.rpath = append(img.rpath, load.Path)
		case macho.LoadBytes:
			img.rawCommand(f, load)
		}
	}
	return img, nil
}

func (img *image) rawCommand(f *macho.File, raw []byte) {
	if len(raw) < 16 {
		return
	}
	switch f.ByteOrder.Uint32(raw) {
	case lcIDDylib:
		if at := f.ByteOrder.Uint32(raw[8:]); int(at) < len(raw) {
			name, _, _ := strings.Cut(string(raw[at:]), "\x00")
			img.name = name
		}
	case lcBuildVersion:
		version := f.ByteOrder.Uint32(raw[12:]) // xxxx.yy.zz in nibbles
		img.macOS = f.ByteOrder.Uint32(raw[8:]) == platformMacOS
		img.minOS = fmt.Sprintf("%d.%d", version>>16, version>>8&0xff)
	}
}

// local says whether a needed name is looked up in the library's own folder,
// and under which file name.
func (img image) local(needed string) (string, bool) {
	if base, ok := strings.CutPrefix(needed, "@rpath/"); ok {
		return base, slices.Contains(img.rpath, "@loader_path")
	}
	ours := strings.HasPrefix(needed, "libggml") || strings.HasPrefix(needed, "libllama")
	return needed, ours && path.Base(needed) == needed && slices.Contains(img.rpath, "$ORIGIN")
}

// systemLibrary says whether every machine that Samovar supports has a library.
func systemLibrary(p platform, needed string) bool {
	if p.goos == "darwin" {
		return strings.HasPrefix(needed, "/usr/lib/") || strings.HasPrefix(needed, "/System/Library/")
	}
	switch needed {
	case "libc.so.6", "libm.so.6", "libgcc_s.so.1", "libstdc++.so.6", "ld-linux-x86-64.so.2", "ld-linux-aarch64.so.1":
		return true
	}
	return false
}
