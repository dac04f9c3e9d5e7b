package llama

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"unsafe"

	yzma "github.com/hybridgroup/yzma/pkg/llama"
	"github.com/hybridgroup/yzma/pkg/loader"
	"github.com/jupiterrider/ffi"
)

// GGMLVersion is the version of ggml inside llama.cpp v0.4.0, the release that
// the binding's structs were written for. It is bumped together with yzma in
// go.mod and the packages in build/engine/package.json.
const GGMLVersion = "0.23.0"

// ErrLibrary is in the chain of every error about the libraries themselves.
var ErrLibrary = errors.New("engine libraries unusable")

// Library is the loaded llama.cpp. There is one in a process.
type Library struct {
	// tokenize is llama_tokenize, called directly: the binding's own wrapper
	// calls it twice and hands C a nil pointer for text that contains a NUL.
	tokenize ffi.Fun
	pools    *threadpools
	setAbort ffi.Fun
	strlen   uintptr
}

var loadOnce struct {
	sync.Mutex
	lib *Library
}

// Load loads the libraries in dir and starts their backends. It refuses
// libraries of another version or with another struct layout. Loading twice
// returns the same Library.
func Load(dir string) (*Library, error) {
	loadOnce.Lock()
	defer loadOnce.Unlock()
	if loadOnce.lib != nil {
		return loadOnce.lib, nil
	}
	lib, err := load(dir)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrLibrary, err)
	}
	loadOnce.lib = lib
	return lib, nil
}

func load(dir string) (*Library, error) {
	if dir == "" {
		return nil, errors.New("no folder with the engine libraries was found")
	}
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	for _, name := range []string{"ggml", "ggml-base", "llama"} {
		if _, err := os.Stat(loader.GetLibraryFilename(dir, name)); err != nil {
			return nil, fmt.Errorf("a library is missing: %w", err)
		}
	}
	if err := checkVersion(dir); err != nil {
		return nil, err
	}
	if err := yzma.Load(dir); err != nil {
		return nil, err
	}
	if err := checkDefaults(yzma.ModelDefaultParams(), yzma.ContextDefaultParams()); err != nil {
		return nil, err
	}
	lib := &Library{}
	if lib.tokenize, err = prepTokenize(dir); err != nil {
		return nil, err
	}
	if lib.setAbort, lib.strlen, err = prepAbort(dir); err != nil {
		return nil, err
	}
	quiet()
	yzma.BackendInit()
	if err := yzma.GGMLBackendLoadAllFromPath(dir); err != nil {
		return nil, err
	}
	if yzma.GGMLBackendDeviceCount() == 0 {
		return nil, fmt.Errorf("no backend in %s runs on this processor (%s)", dir, runtime.GOARCH)
	}
	if lib.pools, err = prepThreadpools(dir); err != nil {
		return nil, err
	}
	return lib, nil
}

// checkVersion asks ggml for its version before anything with a struct in its
// signature is called.
func checkVersion(dir string) error {
	base, err := loader.LoadLibrary(dir, "ggml-base")
	if err != nil {
		return err
	}
	version, err := base.Prep("ggml_version", &ffi.TypePointer)
	if err != nil {
		return fmt.Errorf("the libraries in %s do not say their version: %w", dir, err)
	}
	var p *byte
	version.Call(unsafe.Pointer(&p))
	if got := cString(p, 64); got != GGMLVersion {
		return fmt.Errorf("the libraries in %s are ggml %q, this build of Samovar needs %q", dir, got, GGMLVersion)
	}
	return nil
}

// checkDefaults is the guard against a shifted struct layout (ENGINE.md §12):
// the library fills its defaults in, and each must be where we look for it.
func checkDefaults(m yzma.ModelParams, c yzma.ContextParams) error {
	wantM := yzma.ModelParams{
		NGpuLayers: -1, SplitMode: yzma.SplitModeLayer, LoadMode: yzma.LoadModeAuto,
		LazyMode: yzma.LazyModeAuto, UseExtraBufts: 1,
	}
	// The devices list and tensor split are null pointers everywhere; the
	// thread counts are the library's constants.
	wantC := yzma.ContextParams{
		NCtx: 512, NBatch: 2048, NUbatch: 512, NSeqMax: 1, NOutputsMaxPerSeq: 1, NThreads: 4, NThreadsBatch: 4,
		RopeScalingType: -1, PoolingType: -1, AttentionType: -1, FlashAttentionType: yzma.FlashAttentionTypeAuto,
		YarnExtFactor: -1, YarnAttnFactor: -1, YarnBetaFast: -1, YarnBetaSlow: -1, DefragThold: -1,
		TypeK: yzma.GGMLTypeF16, TypeV: yzma.GGMLTypeF16, Offload_kqv: 1, NoPerf: 1, OpOffload: 1, SwaFull: 1,
	}
	if m != wantM {
		return fmt.Errorf("unexpected default model parameters %+v", m)
	}
	if c != wantC {
		return fmt.Errorf("unexpected default context parameters %+v", c)
	}
	return nil
}

func prepTokenize(dir string) (ffi.Fun, error) {
	lib, err := loader.LoadLibrary(dir, "llama")
	if err != nil {
		return ffi.Fun{}, err
	}
	return lib.Prep("llama_tokenize", &ffi.TypeSint32,
		&ffi.TypePointer, &ffi.TypePointer, &ffi.TypeSint32, &ffi.TypePointer, &ffi.TypeSint32,
		&ffi.TypeUint8, &ffi.TypeUint8)
}
