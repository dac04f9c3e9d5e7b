package main

import (
	"archive/tar"
	"compress/gzip"
	"debug/macho"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

const root = "../.."

var (
	mac   = system{"darwin", "arm64"}
	linux = system{"linux", "amd64"}
)

// stagedName is what build/engine calls a system's libraries.
var stagedName = map[system]string{mac: "mac-arm64-metal", {"darwin", "amd64"}: "mac-x64", linux: "linux-x64"}

func libsOf(s system) string {
	return filepath.Join(root, "build", "engine", "staged", stagedName[s])
}

// executables builds both for a system, once for all tests. The desktop build
// needs cgo and so its own system; the headless one stands in for it.
var executables = map[system]func() (string, error){
	mac:   sync.OnceValues(func() (string, error) { return buildFor(mac) }),
	linux: sync.OnceValues(func() (string, error) { return buildFor(linux) }),
}

var buildRoot string // set by TestMain

func TestMain(m *testing.M) {
	var err error
	if buildRoot, err = os.MkdirTemp("", "samovar-bundle-"); err != nil {
		panic(err)
	}
	code := m.Run()
	os.RemoveAll(buildRoot)
	os.Exit(code)
}

func buildFor(s system) (string, error) {
	dir := filepath.Join(buildRoot, s.goos)
	for name, pkg := range map[string]string{"samovar": ".", "samovar-engine": "./engine/samovar-engine"} {
		cmd := exec.Command("go", "build", "-buildvcs=false", "-trimpath", "-o", filepath.Join(dir, name), pkg)
		cmd.Dir, cmd.Env = root, append(os.Environ(), "CGO_ENABLED=0", "GOOS="+s.goos, "GOARCH="+s.goarch)
		if out, err := cmd.CombinedOutput(); err != nil {
			return "", errors.New(string(out))
		}
	}
	return dir, nil
}

func mustPlan(t *testing.T, s system) plan {
	t.Helper()
	built, err := executables[s]()
	require.NoError(t, err)
	p, err := makePlan(inputs{
		samovar: filepath.Join(built, "samovar"), engine: filepath.Join(built, "samovar-engine"),
		libs: libsOf(s), build: filepath.Join(root, "build"), version: "v1.2.3-4-gabcdef",
	})
	require.NoError(t, err)
	return p
}

// written is a plan and a fresh folder that holds it.
func written(t *testing.T, s system) (plan, string) {
	t.Helper()
	p := mustPlan(t, s)
	dir := filepath.Join(t.TempDir(), p.root)
	require.NoError(t, p.write(dir))
	return p, dir
}

// The real thing: our executables and llama.cpp's libraries for a Mac.
func TestSamovarAppIsWhole(t *testing.T) {
	p, dir := written(t, mac)
	require.NoError(t, p.verify(dir, false))
	for _, must := range []string{
		"Contents/Info.plist", "Contents/MacOS/samovar", "Contents/MacOS/samovar-engine", "Contents/Resources/Samovar.icns",
		"Contents/Frameworks/libllama.dylib", "Contents/Frameworks/libggml.dylib", "Contents/Frameworks/libggml-base.dylib",
		"Contents/Frameworks/libggml-metal.so", "Contents/Resources/engine-libraries.json", "Contents/Resources/LICENSE.node-llama-cpp",
	} {
		require.FileExists(t, filepath.Join(dir, must))
	}
	dict, err := readDict(filepath.Join(dir, "Contents", "Info.plist"))
	require.NoError(t, err)
	require.Equal(t, "1.2.3", dict["CFBundleVersion"])
	require.Equal(t, "Samovar v1.2.3-4-gabcdef", dict["CFBundleGetInfoString"])
}

func TestLinuxFolderIsWhole(t *testing.T) {
	p, dir := written(t, linux)
	require.NoError(t, p.verify(dir, false))
	for _, must := range []string{
		"samovar", "samovar-engine", "lib/libllama.so", "lib/manifest.json", "LICENSE",
		"share/applications/samovar.desktop", "share/icons/hicolor/scalable/apps/samovar.svg", "share/icons/hicolor/48x48/apps/samovar.png",
	} {
		require.FileExists(t, filepath.Join(dir, must))
	}
}

// Whatever is wrong with a bundle is found, and said of the right file.
func TestWrongBundlesAreFound(t *testing.T) {
	const frameworks = "Contents/Frameworks/"
	foreign, err := filepath.Abs(libsOf(system{"darwin", "amd64"}))
	require.NoError(t, err)
	for name, c := range map[string]struct {
		in     system
		damage func(t *testing.T, dir string)
		says   string
	}{
		"library missing":    {mac, remove(frameworks + "libggml-base.dylib"), frameworks + "libggml-base.dylib: it is missing"},
		"executable missing": {mac, remove("Contents/MacOS/samovar-engine"), "samovar-engine: it is missing"},
		"icon missing":       {mac, remove("Contents/Resources/Samovar.icns"), "Samovar.icns: it is missing"},
		"link broken":        {mac, remove(frameworks + "libllama.metal.v0.4.0.dylib"), "libllama.dylib: it points to"},
		"link elsewhere": {mac, func(t *testing.T, dir string) {
			remove(frameworks+"libllama.dylib")(t, dir)
			require.NoError(t, os.Symlink("/usr/lib/libllama.dylib", filepath.Join(dir, frameworks+"libllama.dylib")))
		}, "libllama.dylib: it is no link to"},
		"not executable": {mac, func(t *testing.T, dir string) {
			require.NoError(t, os.Chmod(filepath.Join(dir, "Contents/MacOS/samovar"), 0o644))
		}, "MacOS/samovar: its mode is"},
		"altered": {mac, func(t *testing.T, dir string) {
			require.NoError(t, os.WriteFile(filepath.Join(dir, "Contents/Resources/LICENSE"), nil, 0o644))
		}, "Resources/LICENSE: it is not what was planned"},
		"not a property list": {mac, func(t *testing.T, dir string) {
			require.NoError(t, os.WriteFile(filepath.Join(dir, "Contents/Info.plist"), []byte("<plist"), 0o644))
		}, "Info.plist: it is not what was planned"},
		"left over": {mac, func(t *testing.T, dir string) {
			require.NoError(t, os.WriteFile(filepath.Join(dir, frameworks, "libold.dylib"), nil, 0o644))
		}, "libold.dylib: it is not in the plan"},
		"for another processor": {mac, func(t *testing.T, dir string) {
			overwrite(t, filepath.Join(foreign, "libggml-base.dylib"), filepath.Join(dir, frameworks+"libggml-base.dylib"))
		}, "libggml-base.dylib: it is for CpuAmd64, not CpuArm64"},
		"library where an executable belongs": {mac, func(t *testing.T, dir string) {
			overwrite(t, filepath.Join(dir, frameworks+"libggml-base.dylib"), filepath.Join(dir, "Contents/MacOS/samovar"))
		}, "MacOS/samovar: it is an executable: false"},
		"absolute reference elsewhere": {mac,
			patch(frameworks+"libllama.metal.v0.4.0.dylib", "@rpath/libggml-base.dylib", "/opt/x/libggml-base.dylib"),
			"libllama.metal.v0.4.0.dylib: it needs /opt/x/libggml-base.dylib, which is neither"},
		"reference to what is not there": {mac,
			patch(frameworks+"libggml-metal.so", "@rpath/libggml-base.dylib", "@rpath/libggml-bass.dylib"),
			"libggml-metal.so: it needs @rpath/libggml-bass.dylib, which is neither"},
		"search path elsewhere": {mac, patch(frameworks+"libggml-metal.so", "@loader_path\x00", "/opt/libxxxx\x00"),
			"libggml-metal.so: it searches /opt/libxxxx, which is outside"},
		"search path that leads out": {mac, patch(frameworks+"libggml-metal.so", "@loader_path\x00\x00\x00\x00\x00\x00", "@loader_path/../x\x00"),
			"libggml-metal.so: it needs @rpath/libggml-base.dylib, which is neither"},
		"for another processor, Linux": {linux, func(t *testing.T, dir string) {
			arm := filepath.Join(root, "build", "engine", "staged", "linux-arm64", "libggml-base.so")
			overwrite(t, arm, filepath.Join(dir, "lib/libggml-base.so"))
		}, "libggml-base.so: it is for EM_AARCH64, not EM_X86_64"},
		"library missing, Linux": {linux, remove("lib/libggml-base.so"), "lib/libllama.v0.4.0.so: it needs libggml-base.so, which is neither"},
		"search path elsewhere, Linux": {linux, patch("lib/libllama.v0.4.0.so", "$ORIGIN", "/opt/xx"),
			"libllama.v0.4.0.so: it searches /opt/xx, which is outside"},
	} {
		t.Run(name, func(t *testing.T) {
			p, dir := written(t, c.in)
			c.damage(t, dir)
			require.ErrorContains(t, p.verify(dir, false), c.says)
		})
	}
}

// A signature changes executables and libraries and adds itself; the references
// are verified all the same.
func TestSignedBundleIsVerified(t *testing.T) {
	p, dir := written(t, mac)
	file := filepath.Join(dir, "Contents/Frameworks/libggml-metal.so")
	f, err := os.OpenFile(file, os.O_APPEND|os.O_WRONLY, 0)
	require.NoError(t, err)
	_, err = f.WriteString("signature")
	require.NoError(t, errors.Join(err, f.Close()))
	require.NoError(t, os.MkdirAll(filepath.Join(dir, "Contents/_CodeSignature"), 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "Contents/_CodeSignature/CodeResources"), nil, 0o644))

	require.NoError(t, p.verify(dir, true))
	require.ErrorContains(t, p.verify(dir, false), "libggml-metal.so: it is not what was planned")
	patch("Contents/Frameworks/libggml-metal.so", "@rpath/libggml-base.dylib", "@rpath/libggml-bass.dylib")(t, dir)
	require.ErrorContains(t, p.verify(dir, true), "libggml-bass.dylib")
}

// A library for a later macOS than Info.plist promises starts nowhere.
func TestPromisedSystemIsHeld(t *testing.T) {
	p, dir := written(t, mac)
	p.minOS = "13.7"
	require.ErrorContains(t, p.verify(dir, false), "libllama.metal.v0.4.0.dylib: it needs macOS 14.0, and Info.plist promises 13.7")
	p.minOS = "15.0"
	require.NoError(t, p.verify(dir, false))
}

func TestCodesignsPlacesAreHeld(t *testing.T) {
	require.NoError(t, verifyPlaces(mustPlan(t, mac).entries))
	for _, e := range []entry{
		{path: "Contents/Frameworks/manifest.json"},
		{path: "Contents/MacOS/settings.toml"},
		{path: "Contents/Resources/libx.dylib", kind: library},
		{path: "Contents/Helpers/lib/tool", kind: executable},
	} {
		require.ErrorContains(t, verifyPlaces([]entry{e}), e.path)
	}
	require.NoError(t, verifyPlaces([]entry{{path: "Contents/Frameworks/libx.dylib", kind: link, target: "liby.dylib"}}))
}

// What was there is replaced as a whole, and a failure leaves it alone.
func TestMakeReplaces(t *testing.T) {
	p, into := mustPlan(t, linux), t.TempDir()
	old := filepath.Join(into, "samovar", "left over")
	require.NoError(t, os.MkdirAll(old, 0o755))
	broken := p
	broken.entries = append(slices.Clone(p.entries), entry{path: "x", source: "/nonexistent"})
	require.Error(t, broken.make(into, adHoc))
	require.DirExists(t, old)

	require.NoError(t, p.make(into, adHoc))
	require.NoDirExists(t, old)
	names, err := os.ReadDir(into)
	require.NoError(t, err)
	require.Len(t, names, 2, "the folder and its archive, and nothing besides: %v", names)
	requireArchive(t, filepath.Join(into, "samovar-linux-amd64.tar.gz"), p)
}

func requireArchive(t *testing.T, file string, p plan) {
	t.Helper()
	f, err := os.Open(file)
	require.NoError(t, err)
	defer f.Close()
	unpacked, err := gzip.NewReader(f)
	require.NoError(t, err)
	heads := map[string]*tar.Header{}
	for tape := tar.NewReader(unpacked); ; {
		head, err := tape.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		require.NoError(t, err)
		heads[head.Name] = head
	}
	require.Len(t, heads, len(p.entries))
	require.EqualValues(t, 0o755, heads["samovar/samovar"].Mode)
	require.Equal(t, "libllama.v0.4.0.so", heads["samovar/lib/libllama.so"].Linkname)
	require.Positive(t, heads["samovar/LICENSE"].Size)
}

func remove(name string) func(*testing.T, string) {
	return func(t *testing.T, dir string) { require.NoError(t, os.Remove(filepath.Join(dir, name))) }
}

// patch overwrites the first occurrence of a text in a file; in a library that is
// the one in its load commands or string table.
func patch(name, old, new string) func(*testing.T, string) {
	return func(t *testing.T, dir string) {
		require.Len(t, new, len(old))
		file := filepath.Join(dir, name)
		data, err := os.ReadFile(file)
		require.NoError(t, err)
		require.Contains(t, string(data), old)
		require.NoError(t, os.WriteFile(file, []byte(strings.Replace(string(data), old, new, 1)), 0o644))
	}
}

func overwrite(t *testing.T, from, to string) {
	t.Helper()
	data, err := os.ReadFile(from)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(to, data, 0o644))
}

// However a library is asked for, it has to be there: each way of asking is read.
func TestEveryWayOfAskingIsRead(t *testing.T) {
	file := filepath.Join(libsOf(mac), "libggml-metal.so")
	plain, err := readMachO(file, "arm64")
	require.NoError(t, err)
	data, err := os.ReadFile(file)
	require.NoError(t, err)
	f, err := macho.Open(file)
	require.NoError(t, err)
	defer f.Close()
	at := -1
	for _, load := range f.Loads {
		if d, ok := load.(*macho.Dylib); ok && d.Name == "@rpath/libggml-base.dylib" {
			at = strings.Index(string(data), string(load.Raw()))
		}
	}
	require.Positive(t, at)
	for _, command := range []uint32{lcLoadWeakDylib, lcReexportDylib, lcLazyLoadDylib, lcLoadUpwardDylib} {
		f.ByteOrder.PutUint32(data[at:], command)
		changed := filepath.Join(t.TempDir(), "lib.so")
		require.NoError(t, os.WriteFile(changed, data, 0o600))
		img, err := readMachO(changed, "arm64")
		require.NoError(t, err)
		require.ElementsMatch(t, plain.needs, img.needs, "%#x", command)
	}
}
