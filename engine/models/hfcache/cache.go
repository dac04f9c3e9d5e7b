package hfcache

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
)

// A Cache is a hub cache, which other programs may use at the same time. Its methods may
// be called from several goroutines.
type Cache struct {
	dir string
	mu  sync.Mutex // Remove's plan must not be overtaken by a Link
	// symlink is the file system's; not all have links.
	symlink func(root *os.Root, target, name string) error
}

// New is the cache in a folder, which is made when something is put into it.
func New(dir string) *Cache { return &Cache{dir: dir, symlink: (*os.Root).Symlink} }

// BlobPath is where a file of that content belongs. It is empty if one of the names
// cannot be one.
func (c *Cache) BlobPath(repo, sha256 string) string {
	if firstError(checkRepo(repo), checkSHA256(sha256)) != nil {
		return ""
	}
	return filepath.Join(c.dir, folder(repo), "blobs", sha256)
}

// Link makes a blob a repo's file of a commit, and the commit that of the revision, a
// branch or tag like main. With an empty revision, or the commit for one, no ref is
// written. The blob must be there. What is linked already is left as it is.
func (c *Cache) Link(repo, commit, revision, file, sha256 string) (at string, err error) {
	if revision == commit {
		revision = ""
	}
	err = firstError(checkRepo(repo), checkCommit(commit), checkPath("file", file), checkSHA256(sha256))
	if err == nil && revision != "" {
		err = checkPath("revision", revision)
	}
	if err != nil {
		return "", err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	root, err := c.open(repo)
	if err != nil {
		return "", fmt.Errorf("there is no blob of %s to link: %w", repo, err)
	}
	defer root.Close()
	name := path.Join("snapshots", commit, file)
	if err := c.link(root, name, sha256); err != nil {
		return "", fmt.Errorf("link %s of %s: %w", file, repo, err)
	}
	if revision != "" {
		if err := writeRef(root, path.Join("refs", revision), commit); err != nil {
			return "", fmt.Errorf("write the ref %s of %s: %w", revision, repo, err)
		}
	}
	return filepath.Join(c.dir, folder(repo), filepath.FromSlash(name)), nil
}

// open opens a repo's folder. The cache's own may be a link, as people have them to other
// disks, but what is in it stays in it.
func (c *Cache) open(repo string) (*os.Root, error) {
	cache, err := os.OpenRoot(c.dir)
	if err != nil {
		return nil, err
	}
	defer cache.Close()
	return cache.OpenRoot(folder(repo))
}

// link puts a link to a blob in place, or the blob itself where there are no links.
func (c *Cache) link(root *os.Root, name, sha256 string) error {
	blob := path.Join("blobs", sha256)
	target := strings.Repeat("../", strings.Count(name, "/")) + blob
	info, err := root.Lstat(blob)
	was, wasErr := root.Lstat(name)
	switch {
	case wasErr == nil && was.IsDir():
		return &fs.PathError{Op: "link", Path: name, Err: syscall.EISDIR}
	case wasErr == nil && was.Mode().IsRegular() && (err != nil || info.Size() == was.Size()):
		return nil // of a system without links; a commit's file never changes
	case wasErr != nil && !errors.Is(wasErr, fs.ErrNotExist):
		return wasErr
	}
	if err == nil && !info.Mode().IsRegular() {
		err = errors.New("it is not a regular file")
	}
	if err != nil {
		return fmt.Errorf("the blob %s: %w", sha256, err)
	}
	if now, err := root.Readlink(name); err == nil && now == target {
		return nil
	}
	if err := root.MkdirAll(path.Dir(name), 0o755); err != nil {
		return err
	}
	temp := temporary()
	err = c.symlink(root, target, temp)
	switch {
	case err == nil:
		err = root.Rename(temp, name)
		if err != nil {
			err = errors.Join(err, root.Remove(temp))
		}
	case errors.Is(err, errors.ErrUnsupported), errors.Is(err, syscall.EPERM):
		err = root.Rename(blob, name)
	}
	if err != nil {
		return err
	}
	return syncDir(root, path.Dir(name))
}

// writeRef makes a ref name a commit, if it doesn't.
func writeRef(root *os.Root, name, commit string) error {
	if was, err := readRef(root, name); err == nil && was == commit {
		return nil
	}
	if err := root.MkdirAll(path.Dir(name), 0o755); err != nil {
		return err
	}
	temp := temporary()
	f, err := root.OpenFile(temp, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	_, err = f.WriteString(commit)
	if err = errors.Join(err, f.Sync(), f.Close()); err == nil {
		err = root.Rename(temp, name)
	}
	if err != nil {
		return errors.Join(err, root.Remove(temp))
	}
	return syncDir(root, path.Dir(name))
}

// readRef reads a ref, which has 40 bytes; of others', no more than is needed to see that
// it is none.
func readRef(root *os.Root, name string) (string, error) {
	info, err := root.Stat(name)
	if err != nil {
		return "", err
	}
	if !info.Mode().IsRegular() || info.Size() > 100 {
		return "", errors.New("it is no ref")
	}
	raw, err := root.ReadFile(name)
	return strings.TrimSpace(string(raw)), err
}

// temporary is a name in the repo's folder, where readers do not look.
func temporary() string { return ".samovar-" + rand.Text() }

// syncDir makes the names in a folder durable, and the folder's own, which may be new.
func syncDir(root *os.Root, name string) error {
	for {
		f, err := root.Open(name)
		if err != nil {
			return err
		}
		if err := errors.Join(f.Sync(), f.Close()); err != nil || name == "." {
			return err
		}
		name = path.Dir(name)
	}
}
