package guide

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// Name is what the guide is called wherever a model is named.
const Name = "guide"

//go:embed guide.gguf
var data []byte

// Install returns the path of the guide's file in dir. It writes the file if it
// is absent, and again if its bytes are not those of this build: the name holds
// the start of the content's SHA-256, and the content is compared each time. The
// file appears in one step and only its owner can read it. Files of other builds
// are left alone, as another process may be serving them.
func Install(dir string) (path string, err error) {
	path = Path(dir)
	if whole(path) {
		return path, nil
	}
	if err := write(dir, path); err != nil {
		return "", fmt.Errorf("the built-in guide model could not be written: %w", err)
	}
	return path, nil
}

// Path is where Install puts this build's file in dir, whether it is there or not.
func Path(dir string) string {
	sum := sha256.Sum256(data)
	return filepath.Join(dir, "guide-"+hex.EncodeToString(sum[:8])+".gguf")
}

// whole reports whether path is a regular file with exactly our bytes.
func whole(path string) bool {
	info, err := os.Lstat(path)
	if err != nil || !info.Mode().IsRegular() || info.Mode().Perm() != 0o600 || info.Size() != int64(len(data)) {
		return false
	}
	have, err := os.ReadFile(path)
	return err == nil && bytes.Equal(have, data)
}

func write(dir, path string) (err error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	f, err := os.CreateTemp(dir, ".guide-*.part") // created with mode 0600
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = f.Close()
			err = errors.Join(err, os.Remove(f.Name()))
		}
	}()
	if _, err := f.Write(data); err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	if err := os.Rename(f.Name(), path); err != nil {
		return err
	}
	d, err := os.Open(dir)
	if err != nil {
		return nil // the file is in place; only its directory entry may be young
	}
	defer d.Close()
	_ = d.Sync()
	return nil
}
