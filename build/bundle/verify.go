package main

import (
	"debug/elf"
	"debug/macho"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
)

// verify says everything that is wrong with a written app. A signed one differs
// from its plan in its code, and has a signature.
func (p plan) verify(dir string, signed bool) error {
	var bad []error
	planned := map[string]bool{}
	for _, e := range p.entries {
		planned[e.path] = true
		if err := p.verifyEntry(dir, e, signed); err != nil {
			bad = append(bad, fmt.Errorf("%s: %w", e.path, err))
		}
	}
	err := fs.WalkDir(os.DirFS(dir), ".", func(name string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() && !planned[name] && !(signed && strings.HasPrefix(name, "Contents/_CodeSignature/")) {
			bad = append(bad, fmt.Errorf("%s: it is not in the plan", name))
		}
		return err
	})
	bad = append(bad, err)
	if p.system.goos == "darwin" {
		bad = append(bad, p.verifyInfo(dir), verifyPlaces(p.entries))
	}
	return errors.Join(append(bad, p.verifyReferences(dir))...)
}

func (p plan) verifyEntry(dir string, e entry, signed bool) error {
	at := filepath.Join(dir, filepath.FromSlash(e.path))
	info, err := os.Lstat(at)
	if err != nil {
		return errors.New("it is missing")
	}
	if e.kind == link {
		target, err := os.Readlink(at)
		if err != nil || target != e.target || !filepath.IsLocal(target) {
			return fmt.Errorf("it is no link to %s beside it", e.target)
		}
		if _, err := os.Stat(at); err != nil {
			return fmt.Errorf("it points to %s, and there is nothing", target)
		}
		return nil
	}
	if info.Mode() != e.mode() {
		return fmt.Errorf("its mode is %v, not %v", info.Mode(), e.mode())
	}
	if signed && e.kind != plain {
		return nil // codesign answers for it
	}
	if same, err := e.same(at); err != nil || !same {
		return errors.Join(errors.New("it is not what was planned"), err)
	}
	return nil
}

// verifyInfo lints Info.plist as it lies there.
func (p plan) verifyInfo(dir string) error {
	raw, err := os.ReadFile(filepath.Join(dir, "Contents", "Info.plist"))
	if err != nil {
		return err
	}
	dict, _, err := normalise(raw)
	if err != nil {
		return err
	}
	return lintInfo(dict)
}

// verifyPlaces holds codesign's rule: MacOS and Frameworks have code and nothing
// else, and the rest has none.
func verifyPlaces(entries []entry) error {
	var bad []error
	for _, e := range entries {
		folder := path.Dir(e.path)
		code := folder == "Contents/MacOS" || folder == "Contents/Frameworks"
		if e.kind != link && code != (e.kind != plain) {
			bad = append(bad, fmt.Errorf("%s: codesign wants code in MacOS and Frameworks, and all else elsewhere", e.path))
		}
	}
	return errors.Join(bad...)
}

// An image is what an executable or library says about itself.
type image struct {
	executable bool
	needs      []string
	rpaths     []string
	minOS      [2]int // macOS only
}

// readImage refuses a file that is not of the system and kind.
func (s system) readImage(file string, k kind) (image, error) {
	read := readELF
	if s.goos == "darwin" {
		read = readMachO
	}
	img, err := read(file, s.goarch)
	if err != nil {
		return img, err
	}
	if img.executable != (k == executable) {
		return img, fmt.Errorf("it is an executable: %v; it should be: %v", img.executable, k == executable)
	}
	return img, nil
}

// readELF counts position-independent executables, which have the type of a
// library, by the interpreter that they name.
func readELF(file, goarch string) (image, error) {
	f, err := elf.Open(file)
	if err != nil {
		return image{}, err
	}
	defer f.Close()
	if want := map[string]elf.Machine{"amd64": elf.EM_X86_64, "arm64": elf.EM_AARCH64}[goarch]; f.Machine != want {
		return image{}, fmt.Errorf("it is for %v, not %v", f.Machine, want)
	}
	img := image{executable: f.Type == elf.ET_EXEC || f.Section(".interp") != nil}
	if f.Section(".dynamic") == nil {
		return img, nil
	}
	if img.needs, err = f.DynString(elf.DT_NEEDED); err != nil {
		return image{}, err
	}
	for _, tag := range []elf.DynTag{elf.DT_RPATH, elf.DT_RUNPATH} {
		lists, err := f.DynString(tag)
		if err != nil {
			return image{}, err
		}
		for _, list := range lists {
			img.rpaths = append(img.rpaths, strings.FieldsFunc(list, func(r rune) bool { return r == ':' })...)
		}
	}
	return img, nil
}

// Load commands that debug/macho leaves raw. All but lcBuildVersion ask for a
// library in another way than LC_LOAD_DYLIB, and have its layout.
const (
	lcBuildVersion    = 0x32
	lcLoadWeakDylib   = 0x80000018
	lcReexportDylib   = 0x8000001f
	lcLazyLoadDylib   = 0x20
	lcLoadUpwardDylib = 0x80000023
)

func readMachO(file, goarch string) (image, error) {
	f, err := macho.Open(file)
	if err != nil {
		return image{}, err
	}
	defer f.Close()
	if want := map[string]macho.Cpu{"amd64": macho.CpuAmd64, "arm64": macho.CpuArm64}[goarch]; f.Cpu != want {
		return image{}, fmt.Errorf("it is for %v, not %v", f.Cpu, want)
	}
	img := image{executable: f.Type == macho.TypeExec}
	if !img.executable && f.Type != macho.TypeDylib && f.Type != macho.TypeBundle {
		return image{}, fmt.Errorf("it is a %v", f.Type)
	}
	for _, load := range f.Loads {
		switch load := load.(type) {
		case *macho.Dylib:
			img.needs = append(img.needs, load.Name)
		case *macho.Rpath:
			img.rpaths = append(img.rpaths, load.Path)
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
	case lcLoadWeakDylib, lcReexportDylib, lcLazyLoadDylib, lcLoadUpwardDylib:
		if at := f.ByteOrder.Uint32(raw[8:]); int(at) < len(raw) {
			name, _, _ := strings.Cut(string(raw[at:]), "\x00")
			img.needs = append(img.needs, name)
		}
	case lcBuildVersion:
		version := f.ByteOrder.Uint32(raw[12:]) // xxxx.yy.zz in nibbles
		img.minOS = [2]int{int(version >> 16), int(version >> 8 & 0xff)}
	}
}
