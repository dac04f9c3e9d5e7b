package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// manifestName is the manifest's file name inside a staged folder.
const manifestName = "manifest.json"

// A Manifest describes one staged folder completely: apart from itself, the
// folder holds exactly Files and Links. Format is checked before anything else
// is believed.
type Manifest struct {
	Format         int    `json:"format"` // 1
	Platform       string `json:"platform"`
	GOOS           string `json:"goos"`
	GOARCH         string `json:"goarch"`
	Package        string `json:"package"`
	PackageVersion string `json:"package_version"`
	LlamaCpp       string `json:"llama_cpp"` // release tag, e.g. "v0.4.0"
	Binding        string `json:"binding"`   // module@version it was verified with
	Files          []File `json:"files"`     // sorted by name
	Links          []Link `json:"links"`     // sorted by name
}

// A File is a regular file; SHA256 is in hexadecimal.
type File struct {
	Name   string `json:"name"`
	Size   int64  `json:"size"`
	SHA256 string `json:"sha256"`
}

// A Link is a relative symbolic link inside the folder.
type Link struct {
	Name   string `json:"name"`
	Target string `json:"target"`
}

// encode gives the manifest's one representation.
func (m Manifest) encode() ([]byte, error) {
	data, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return nil, err
	}
	return append(data, '\n'), nil
}

// describe hashes a regular file.
func describe(path string) (File, error) {
	f, err := os.Open(path)
	if err != nil {
		return File{}, err
	}
	defer f.Close()
	sum := sha256.New()
	n, err := io.Copy(sum, f)
	if err != nil {
		return File{}, fmt.Errorf("%s: %w", path, err)
	}
	return File{Name: filepath.Base(path), Size: n, SHA256: hex.EncodeToString(sum.Sum(nil))}, nil
}

// check says why dir is not what m describes; nil when it is, to the byte.
func (m Manifest) check(dir string) error {
	want, err := m.encode()
	if err != nil {
		return err
	}
	got, err := os.ReadFile(filepath.Join(dir, manifestName))
	if err != nil {
		return err
	}
	if !bytes.Equal(got, want) {
		return fmt.Errorf("%s: %s is of another staging", dir, manifestName)
	}
	for _, file := range m.Files {
		have, err := describe(filepath.Join(dir, file.Name))
		if err != nil {
			return err
		}
		if have != file {
			return fmt.Errorf("%s: %s has been altered", dir, file.Name)
		}
	}
	for _, link := range m.Links {
		target, err := os.Readlink(filepath.Join(dir, link.Name))
		if err != nil {
			return err
		}
		if target != link.Target {
			return fmt.Errorf("%s: %s points to %s, not %s", dir, link.Name, target, link.Target)
		}
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	if extra := len(entries) - len(m.Files) - len(m.Links) - 1; extra != 0 {
		return fmt.Errorf("%s: %d entries too many", dir, extra)
	}
	return nil
}
