package browser

import (
	"errors"
	"fmt"
	"net/url"
	"os/exec"
	"path/filepath"
	"runtime"
	"syscall"
	"time"
)

// ErrNone says that the system has nothing to open things with.
var ErrNone = errors.New("no program was found that opens it")

// settleTime is how long the system's opener has to fail. It may run for as long as the
// browser does, if it had to start one.
const settleTime = 2 * time.Second

// openers are tried in this order.
func openers(goos string) [][]string {
	if goos == "darwin" {
		return [][]string{{"/usr/bin/open"}}
	}
	return [][]string{{"xdg-open"}, {"gio", "open"}}
}

// OpenURL opens an http or https address.
func OpenURL(address string) error {
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return fmt.Errorf("%q is no address for a browser", address)
	}
	return open(u.String())
}

// OpenFile opens a file in whatever the user reads such files with.
func OpenFile(path string) error {
	if !filepath.IsAbs(path) {
		return fmt.Errorf("%q is no whole path", path)
	}
	return open(path)
}

func open(what string) error {
	for _, argv := range openers(runtime.GOOS) {
		program, err := exec.LookPath(argv[0])
		if err != nil {
			continue
		}
		cmd := exec.Command(program, append(argv[1:], what)...)
		// It outlives us, and our terminal.
		cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
		if err := cmd.Start(); err != nil {
			return fmt.Errorf("cannot open it: %w", err)
		}
		ended := make(chan error, 1)
		go func() { ended <- cmd.Wait() }()
		select {
		case err := <-ended:
			if err != nil {
				return fmt.Errorf("cannot open it: %s: %w", argv[0], err)
			}
		case <-time.After(settleTime):
		}
		return nil
	}
	return ErrNone
}
