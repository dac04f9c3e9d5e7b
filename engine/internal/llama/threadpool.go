package llama

import (
	"errors"
	"fmt"
	"unsafe"

	yzma "github.com/hybridgroup/yzma/pkg/llama"
	"github.com/hybridgroup/yzma/pkg/loader"
	"github.com/jupiterrider/ffi"
)

// threadpools makes ggml's own thread pools. Without one, llama.cpp starts its
// threads anew for each graph, and where the kernel puts a new thread is luck:
// now and then two share a core for a second, at three quarters of the speed.
type threadpools struct {
	initParams, create, free ffi.Fun
}

// threadpoolParams is struct ggml_threadpool_params (ggml.h of GGMLVersion).
type threadpoolParams struct {
	cpumask   [512]bool // none set: any core
	threads   int32
	priority  int32
	poll      uint32 // how long a thread spins for the next graph, 0 … 100
	strictCPU bool
	paused    bool
}

// prepThreadpools finds the functions. Two live in whichever CPU backend was
// loaded, so they are looked up through ggml's registry.
func prepThreadpools(dir string) (*threadpools, error) {
	base, err := loader.LoadLibrary(dir, "ggml-base")
	if err != nil {
		return nil, err
	}
	t := &threadpools{}
	if t.initParams, err = base.Prep("ggml_threadpool_params_init", &ffi.TypeVoid, &ffi.TypePointer, &ffi.TypeSint32); err != nil {
		return nil, err
	}
	want := threadpoolParams{cpumask: [512]bool{}, threads: 3, priority: 0, poll: 50, strictCPU: false, paused: false}
	if got := t.defaults(3); got != want {
		return nil, fmt.Errorf("unexpected default thread pool parameters %+v", got)
	}
	lookup, err := base.Prep("ggml_backend_reg_get_proc_address", &ffi.TypePointer, &ffi.TypePointer, &ffi.TypePointer)
	if err != nil {
		return nil, err
	}
	cpu := yzma.GGMLBackendRegByName("CPU")
	if cpu == 0 {
		return nil, errors.New("there is no CPU backend for this processor")
	}
	find := func(name string, ret *ffi.Type) (f ffi.Fun, err error) {
		symbol := &append([]byte(name), 0)[0]
		lookup.Call(&f.Addr, &cpu, &symbol)
		if f.Addr == 0 {
			return f, fmt.Errorf("the CPU backend has no %s", name)
		}
		f.Cif = &ffi.Cif{}
		if status := ffi.PrepCif(f.Cif, ffi.DefaultAbi, 1, ret, &ffi.TypePointer); status != ffi.OK {
			return f, fmt.Errorf("%s: %s", name, status)
		}
		return f, nil
	}
	if t.create, err = find("ggml_threadpool_new", &ffi.TypePointer); err != nil {
		return nil, err
	}
	if t.free, err = find("ggml_threadpool_free", &ffi.TypeVoid); err != nil {
		return nil, err
	}
	return t, nil
}

func (t *threadpools) defaults(threads int) threadpoolParams {
	var p threadpoolParams
	to, n := &p, int32(threads)
	t.initParams.Call(nil, &to, &n)
	return p
}

// open returns a pool of so many threads, the calling one included.
func (t *threadpools) open(threads int) (uintptr, error) {
	p := t.defaults(threads)
	// Between two graphs its threads sleep: spinning, they would take the cores
	// from whoever hands the tokens on, and an idle engine would not be idle.
	p.poll = 0
	from := &p
	var pool uintptr
	t.create.Call(&pool, &from)
	if pool == 0 {
		return 0, fmt.Errorf("ggml could not start %d threads", threads)
	}
	return pool, nil
}

func (t *threadpools) close(pool uintptr) { t.free.Call(nil, unsafe.Pointer(&pool)) }
