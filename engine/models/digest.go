package models

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// digestOf is what a file's digest is remembered by.
type digestOf struct {
	Path    string    `json:"path"`
	Bytes   int64     `json:"bytes"`
	Changed time.Time `json:"changed"`
	Inode   uint64    `json:"inode"`
	SHA256  string    `json:"sha256"`
}

// Digest returns the SHA-256 of a file. It remembers it in cacheDir, which it makes,
// for as long as the file is the same by path, size, time of change and inode: reading
// it all takes a second for each gigabyte or two.
func Digest(path, cacheDir string) (sum [32]byte, err error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return sum, err
	}
	f, err := os.Open(abs)
	if err != nil {
		return sum, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return sum, err
	}
	is := digestOf{Path: abs, Bytes: info.Size(), Changed: info.ModTime().UTC()}
	if s, ok := info.Sys().(*syscall.Stat_t); ok {
		is.Inode = s.Ino
	}
	name := sha256.Sum256([]byte(abs))
	cache := filepath.Join(cacheDir, hex.EncodeToString(name[:8])+".json")
	var was digestOf
	if data, err := os.ReadFile(cache); err == nil && json.Unmarshal(data, &was) == nil {
		is.SHA256 = was.SHA256
		if known, err := hex.DecodeString(was.SHA256); err == nil && len(known) == len(sum) && is == was {
			return [32]byte(known), nil
		}
	}
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return sum, err
	}
	sum = [32]byte(h.Sum(nil))
	is.SHA256 = hex.EncodeToString(sum[:])
	data, err := json.Marshal(is)
	if err != nil {
		return sum, err
	}
	if err := os.MkdirAll(cacheDir, 0o700); err != nil {
		return sum, err
	}
	return sum, writeWhole(cache, data)
}

func writeWhole(name string, data []byte) error {
	f, err := os.CreateTemp(filepath.Dir(name), ".digest-*")
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(f.Name(), name)
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return nil
}
