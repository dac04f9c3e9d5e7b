package download

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"sync/atomic"
	"testing"
	"unsafe"

	"go.uber.org/goleak"
	"golang.org/x/sys/unix"
)

// play makes the test binary a process that downloads; its value is a part.
const play = "SAMOVAR_TEST_PLAY_DOWNLOAD"

func TestMain(m *testing.M) {
	if script := os.Getenv(play); script != "" {
		act(script)
		return
	}
	goleak.VerifyTestMain(m)
}

// A part is what a child process downloads. It prints the digest.
type part struct {
	File  File
	Parts string
	// Counter is a file of 8 bytes in which the child counts those that it receives, so
	// that they are known when it's killed.
	Counter string
	// Usual has the child use the usual options, not those of tests.
	Usual bool
}

func act(script string) {
	var p part
	if err := json.Unmarshal([]byte(script), &p); err != nil {
		panic(err)
	}
	o := quick(p.Parts)
	if p.Usual {
		o = Options{Parts: p.Parts}
	}
	counted, err := openCounter(p.Counter)
	if err != nil {
		panic(err)
	}
	o.Client = &http.Client{Transport: &countingTransport{inner: transport(o.withDefaults()), count: counted}}
	sum, err := New(o).Fetch(context.Background(), p.File, nil)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Print(sum)
}

// openCounter maps a file into memory: what is stored there survives the process.
func openCounter(name string) (*atomic.Int64, error) {
	f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if err := f.Truncate(8); err != nil {
		return nil, err
	}
	mem, err := unix.Mmap(int(f.Fd()), 0, 8, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return nil, err
	}
	return (*atomic.Int64)(unsafe.Pointer(unsafe.SliceData(mem))), nil
}

// countingTransport counts the bytes of bodies that are read.
type countingTransport struct {
	inner http.RoundTripper
	count *atomic.Int64
}

func (c *countingTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := c.inner.RoundTrip(r)
	if err == nil {
		resp.Body = &countingBody{resp.Body, c.count}
	}
	return resp, err
}

type countingBody struct {
	io.ReadCloser
	count *atomic.Int64
}

func (b *countingBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	b.count.Add(int64(n))
	return n, err
}
