package checkup

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"samovar/engine/internal/proc"
)

// probeTimeout is how long the worker's executable may take for one answer.
const probeTimeout = 30 * time.Second

// Engine is what the worker's executable says of itself and its libraries.
type Engine struct {
	// Build is the version that it was built as.
	Build string
	// Libraries is the version of the libraries that it could load.
	Libraries string
	// LibrariesErr is why it could not; its text is one line.
	LibrariesErr error
}

// ProbeEngine asks the worker's executable for its build and has it load the engine
// libraries: in a process of its own, which may die of it. The error is about the
// executable itself.
func ProbeEngine(ctx context.Context, workerPath, libDir string) (e Engine, err error) {
	dir, err := os.MkdirTemp("", "samovar-doctor-")
	if err != nil {
		return e, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	if e.Build, err = ask(ctx, dir, workerPath, "version"); err != nil {
		return e, err
	}
	if e.LibrariesErr = compareManifest(libDir); e.LibrariesErr == nil {
		e.Libraries, e.LibrariesErr = ask(ctx, dir, workerPath, "libraries", libDir)
	}
	return e, ctx.Err()
}

// manifest is what build/engine/stage says of the files that it staged, as far as it
// matters here.
type manifest struct {
	Files []struct {
		Name   string `json:"name"`
		SHA256 string `json:"sha256"`
	} `json:"files"`
}

// compareManifest compares the libraries with their manifest, if they have one: a file
// that is damaged may load and fail much later.
func compareManifest(dir string) error {
	raw, err := os.ReadFile(filepath.Join(dir, "manifest.json"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	var m manifest
	if err == nil {
		err = json.Unmarshal(raw, &m)
	}
	if err != nil {
		return fmt.Errorf("their manifest.json cannot be read: %w", err)
	}
	for _, f := range m.Files {
		if !filepath.IsLocal(f.Name) {
			return fmt.Errorf("their manifest.json names %q", f.Name)
		}
		data, err := os.ReadFile(filepath.Join(dir, f.Name))
		if errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("%s is missing", f.Name)
		} else if err != nil {
			return err
		}
		if sum := sha256.Sum256(data); hex.EncodeToString(sum[:]) != f.SHA256 {
			return fmt.Errorf("%s is damaged, or not the one that belongs here", f.Name)
		}
	}
	return nil
}

// ask runs the worker's executable and returns the line that it prints.
func ask(ctx context.Context, dir, path string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	var out, complaint bytes.Buffer
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.Env, cmd.Dir, cmd.Stdout, cmd.Stderr, cmd.WaitDelay = proc.PrivateEnv(dir), dir, &out, &complaint, 2*time.Second
	err := cmd.Run()
	if err == nil {
		return strings.TrimSpace(out.String()), nil
	}
	said, planned := lastWords(complaint.String())
	switch {
	case planned:
		err = errors.New(said)
	case said != "":
		err = fmt.Errorf("%s (%w)", said, err)
	}
	return "", err
}

const complains = "samovar-engine: "

// lastWords is the line of a process's complaint that says most: what it chose to say,
// or how its crash begins.
func lastWords(complaint string) (said string, planned bool) {
	lines := strings.Split(strings.TrimSpace(strings.ToValidUTF8(complaint, "?")), "\n")
	said = lines[0]
	for _, line := range lines {
		for _, crash := range []string{complains, "panic:", "fatal error:", "SIG"} {
			if strings.HasPrefix(line, crash) {
				return strings.TrimPrefix(strings.TrimSpace(line), complains), crash == complains
			}
		}
	}
	return strings.TrimSpace(said), false
}
