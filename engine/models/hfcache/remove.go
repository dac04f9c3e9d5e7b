package hfcache

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
)

// A removal is what Remove is going to do, in this order: after a crash there may be a
// blob that nobody needs, but no link without its blob.
type removal struct {
	links []string // paths in the repo's folder
	blobs []string // that no other link needs
	bytes int64    // of the blobs, and of files that are no links
}

// Remove takes a file out of all snapshots of a repo, and its blobs if no other link
// needs them. Folders that are empty then go, too, and so do refs to snapshots that
// don't exist any more, which readers take for damage. It returns the bytes that became
// free. A file that isn't there is an error, fs.ErrNotExist.
func (c *Cache) Remove(repo, file string) (freed int64, err error) {
	if err := firstError(checkRepo(repo), checkPath("file", file)); err != nil {
		return 0, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	root, err := c.open(repo)
	if err != nil {
		return 0, fmt.Errorf("remove %s of %s: %w", file, repo, err)
	}
	at := filepath.Join(c.dir, folder(repo))
	plan, err := c.plan(root, at, file)
	if err == nil && len(plan.links) == 0 {
		err = fs.ErrNotExist
	}
	if err == nil {
		err = plan.execute(root)
	}
	if err == nil {
		freed = plan.bytes
		err = tidy(root)
	}
	if err = errors.Join(err, root.Close()); err != nil {
		return freed, fmt.Errorf("remove %s of %s: %w", file, repo, err)
	}
	if info, err := os.Lstat(at); err == nil && info.IsDir() { // and no link
		if err := os.Remove(at); err != nil && !full(err) {
			return freed, err
		}
	}
	return freed, nil
}

// plan looks at all links of a repo.
func (c *Cache) plan(root *os.Root, at, file string) (removal, error) {
	var r removal
	var mine, needed []string
	err := fs.WalkDir(root.FS(), "snapshots", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		blob := ""
		if d.Type()&fs.ModeSymlink != 0 {
			if blob, err = blobOf(root, at, name); err != nil {
				return err
			}
		}
		// snapshots/<commit>/<file>
		if parts := strings.SplitN(name, "/", 3); len(parts) < 3 || parts[2] != file {
			needed = append(needed, blob)
			return nil
		}
		r.links = append(r.links, name)
		if blob != "" {
			mine = append(mine, blob)
		} else if info, err := d.Info(); err == nil && info.Mode().IsRegular() {
			r.bytes += info.Size()
		}
		return nil
	})
	slices.Sort(mine)
	for _, blob := range slices.Compact(mine) {
		if info, err := root.Lstat(blob); err == nil && info.Mode().IsRegular() && !slices.Contains(needed, blob) {
			r.blobs = append(r.blobs, blob)
			r.bytes += info.Size()
		}
	}
	return r, err
}

// blobOf is the blob that a link names, as a path in the repo's folder; empty if it names
// something else.
func blobOf(root *os.Root, at, name string) (string, error) {
	target, err := root.Readlink(name)
	if err != nil {
		return "", err
	}
	if filepath.IsAbs(target) { // as huggingface_hub had them once
		if target, err = filepath.Rel(at, target); err != nil {
			return "", nil
		}
		target = filepath.ToSlash(target)
	} else {
		target = path.Join(path.Dir(name), filepath.ToSlash(target))
	}
	if dir, blob := path.Split(target); dir != "blobs/" || blob == "" {
		return "", nil
	}
	return target, nil
}

func (r removal) execute(root *os.Root) error {
	for _, name := range slices.Concat(r.links, r.blobs) {
		if err := root.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// tidy removes what has become empty, as far as nobody else is just filling it.
func tidy(root *os.Root) error {
	if err := prune(root, "snapshots", false); err != nil {
		return err
	}
	if err := tidyRefs(root); err != nil {
		return err
	}
	if err := ifEmpty(root, "blobs"); err != nil {
		return err
	}
	if _, err := root.Lstat("blobs"); err == nil {
		return nil // a download is on its way, or somebody's blob without a link
	}
	if err := ifEmpty(root, "snapshots"); err != nil {
		return err
	}
	if _, err := root.Lstat("snapshots"); err == nil {
		return nil
	}
	// huggingface_hub's notes on files that a commit has or has not.
	return errors.Join(root.RemoveAll(".no_exist"), root.RemoveAll("trees"))
}

// tidyRefs removes the refs to snapshots that are gone.
func tidyRefs(root *os.Root) error {
	err := fs.WalkDir(root.FS(), "refs", func(name string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		commit, err := readRef(root, name)
		if err != nil || checkCommit(commit) != nil {
			return nil // not ours to judge
		}
		if _, err := root.Lstat(path.Join("snapshots", commit)); errors.Is(err, fs.ErrNotExist) {
			return root.Remove(name)
		}
		return nil
	})
	return errors.Join(err, prune(root, "refs", true))
}

// prune removes empty folders, from the deepest up.
func prune(root *os.Root, dir string, itself bool) error {
	entries, err := fs.ReadDir(root.FS(), dir)
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return err
	}
	for _, e := range entries {
		if e.IsDir() {
			if err := prune(root, path.Join(dir, e.Name()), true); err != nil {
				return err
			}
		}
	}
	if !itself {
		return nil
	}
	return ifEmpty(root, dir)
}

// ifEmpty removes a folder unless something is in it.
func ifEmpty(root *os.Root, dir string) error {
	if err := root.Remove(dir); err != nil && !full(err) {
		return err
	}
	return nil
}

// full says whether a folder could not be removed because something is in it, or because
// it was gone: both are what we want.
func full(err error) bool {
	return errors.Is(err, syscall.ENOTEMPTY) || errors.Is(err, syscall.EEXIST) || errors.Is(err, fs.ErrNotExist)
}
