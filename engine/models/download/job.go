package download

import (
	"context"
	"errors"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"sync/atomic"
	"syscall"
	"time"

	"samovar/engine/internal/vfs"
)

// A job is a download that runs in this process, for all who asked for it.
type job struct {
	o      *Options
	client *http.Client
	limit  *limiter
	file   File
	origin *url.URL
	names  files

	callers int // the Downloader's lock guards it
	stop    context.CancelFunc
	done    chan struct{} // closed when the rest is set
	digest  string
	err     error

	stage atomic.Pointer[stage]
	meter meter
}

// A stage says how far it is with what a job does for a while.
type stage func() (done, total int64, verifying bool)

func (j *job) enter(s stage) { j.stage.Store(&s) }

// progress is how far the job is.
func (j *job) progress() Progress {
	s := j.stage.Load()
	if s == nil {
		return Progress{Total: j.file.Size}
	}
	done, total, verifying := (*s)()
	if total <= 0 {
		total = j.file.Size
	}
	speed := j.meter.speed(measured{s, verifying}, j.o.now(), done)
	return Progress{Done: done, Total: total, BytesPerSecond: speed, ETA: eta(total-done, speed), Verifying: verifying}
}

type measured struct {
	stage     *stage
	verifying bool
}

// run does it all.
func (j *job) run(ctx context.Context) (digest string, err error) {
	if digest, err := j.present(ctx, j.file.SHA256, j.file.Size); digest != "" || err != nil {
		j.tidy()
		return digest, err
	}
	if err := j.folders(); err != nil {
		return "", err
	}
	lock, digest, err := j.lock(ctx)
	if err != nil {
		return "", err
	}
	if digest == "" {
		digest, err = j.fetch(ctx)
	}
	if err != nil {
		if rec, peekErr := peek(j.names.journal); peekErr == nil && len(rec.Done) > 0 {
			_ = lock.free() // closing the file frees it in any case
		} else {
			_ = j.names.end(lock) // nothing has come that would be worth keeping
		}
		return "", err
	}
	// The file is there and right, so what can't be deleted is no reason to complain:
	// Sweep finds it.
	_ = j.names.end(lock)
	return digest, nil
}

// folders makes the folders, which must be on one file system.
func (j *job) folders() error {
	to := filepath.Dir(j.file.Path)
	if err := os.MkdirAll(j.o.Parts, 0o700); err != nil {
		return onDisk("to make the folder "+j.o.Parts, err)
	}
	if err := os.MkdirAll(to, 0o755); err != nil {
		return onDisk("to make the folder "+to, err)
	}
	a, err := device(j.o.Parts)
	if err != nil {
		return onDisk("to describe the folder "+j.o.Parts, err)
	}
	b, err := device(to)
	if err != nil {
		return onDisk("to describe the folder "+to, err)
	}
	if a != b {
		return &Error{Kind: Disk, Err: syscall.EXDEV,
			Message: "The folders " + j.o.Parts + " and " + to + " are on different file systems.",
			Hint:    "Put both on one, so that a file that is whole can be moved at once.",
		}
	}
	return nil
}

func device(dir string) (uint64, error) {
	info, err := os.Stat(dir)
	if err != nil {
		return 0, err
	}
	s, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return 0, nil
	}
	return uint64(s.Dev), nil
}

// present returns the digest of the file at the path if it is the right one; "" if it
// isn't, or nobody knows. The error is the context's only.
func (j *job) present(ctx context.Context, want string, size int64) (digest string, err error) {
	info, statErr := os.Stat(j.file.Path)
	if want == "" || statErr != nil || !info.Mode().IsRegular() || size > 0 && info.Size() != size {
		return "", nil
	}
	digest, err = j.verify(ctx, info.Size())
	if err == nil && digest == want {
		return digest, nil
	}
	return "", context.Cause(ctx)
}

// verify reads the file at the path.
func (j *job) verify(ctx context.Context, size int64) (digest string, err error) {
	var read atomic.Int64
	j.enter(func() (int64, int64, bool) { return read.Load(), size, true })
	digest, _, err = digestOf(ctx, j.file.Path, &read)
	return digest, err
}

// tidy deletes what a process left that was killed after it had moved the file.
func (j *job) tidy() {
	if _, err := os.Stat(j.names.journal); err != nil {
		return
	}
	if lock, err := j.names.take(); err == nil && lock != nil {
		_ = j.names.end(lock) // else Sweep will
	}
}

// lock waits for the partial's lock, and reports what the process that has it does. If
// that one has fetched the file meanwhile, lock returns its digest.
func (j *job) lock(ctx context.Context) (lock *hold, digest string, err error) {
	var seen atomic.Pointer[record] // the newest that the other one wrote
	before, _ := os.Stat(j.file.Path)
	tick := time.NewTicker(j.o.Every)
	defer tick.Stop()
	for {
		lock, err := j.names.take()
		if err != nil {
			return nil, "", onDisk("to lock the partial", err)
		}
		if lock != nil {
			// The one before may have been too quick for us to see what it did.
			if digest, err = j.present(ctx, j.file.SHA256, j.file.Size); digest == "" && err == nil {
				digest, err = j.inherit(ctx, before, seen.Load())
			}
			if err != nil {
				_ = lock.free() // closing the file frees it in any case
				return nil, "", err
			}
			return lock, digest, nil
		}
		if rec, err := peek(j.names.journal); err == nil {
			if seen.Swap(&rec) == nil {
				j.enter(func() (int64, int64, bool) {
					rec := seen.Load()
					return rec.Done.sum(), max(rec.Size, 0), rec.Size >= 0 && rec.Done.sum() == rec.Size
				})
			}
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil, "", context.Cause(ctx)
		}
	}
}

// inherit returns the digest of the file that another process has fetched while we
// waited for it: it's our file, and new at its path. It is read again rather than
// believed.
func (j *job) inherit(ctx context.Context, before fs.FileInfo, seen *record) (digest string, err error) {
	if seen == nil || !seen.of(j.file) {
		return "", nil
	}
	now, err := os.Stat(j.file.Path)
	if err != nil || before != nil && os.SameFile(before, now) || seen.Size >= 0 && now.Size() != seen.Size {
		return "", nil
	}
	digest, err = j.verify(ctx, now.Size())
	want := seen.SHA256
	if j.file.SHA256 != "" {
		want = j.file.SHA256
	}
	if err != nil || want != "" && digest != want {
		return "", context.Cause(ctx)
	}
	return digest, nil
}

// fetch makes attempts until one brings the file, and moves it to its path. The lock is
// held.
func (j *job) fetch(ctx context.Context) (digest string, err error) {
	_, statErr := os.Stat(j.file.Path)
	seek := j.file.SHA256 == "" && statErr == nil
	changed, refetched := false, false
	for {
		digest, err := j.attempt(ctx, seek)
		isWrong, isHere := (*wrong)(nil), (*here)(nil)
		switch {
		case err == nil:
			return digest, nil
		case errors.As(err, &isHere):
			digest, err := j.present(ctx, isHere.digest, 0)
			if digest != "" || err != nil {
				return digest, err
			}
			seek = false
			continue
		case errors.Is(err, errStale):
		case errors.Is(err, errChanged) && !changed:
			changed = true
		case errors.Is(err, errChanged):
			err = changedTwice()
		case errors.As(err, &isWrong) && isWrong.resumed && !refetched:
			refetched = true // a power cut may have taken what we thought was there
		case errors.As(err, &isWrong):
			err = isWrong.public()
		default:
			return "", err
		}
		if wipeErr := j.names.wipe(); wipeErr != nil {
			return "", onDisk("to delete the partial", wipeErr)
		}
		if final := (*Error)(nil); errors.As(err, &final) {
			return "", final
		}
	}
}

// attempt makes one.
func (j *job) attempt(ctx context.Context, seek bool) (digest string, err error) {
	// What an attempt before learned of the way is of another file, perhaps.
	r := &route{client: j.client, origin: j.origin, token: j.file.Token}
	p, err := openPartial(j.names, j.file)
	if err != nil {
		return "", err
	}
	a := newAttempt(j.o, j.file, r, p, j.limit)
	a.seek = seek
	j.enter(a.state)
	digest, err = a.run(ctx)
	if closeErr := p.close(); err == nil && closeErr != nil {
		err = onDisk("to write the partial", closeErr)
	}
	if err != nil {
		return "", err
	}
	return digest, j.place(a.size)
}

// place moves the partial, which is whole, to the path.
func (j *job) place(size int64) error {
	info, err := os.Stat(j.names.part)
	if err != nil {
		return onDisk("to describe the partial", err)
	}
	if info.Size() > size { // of an earlier state of the file, which was longer
		if err := os.Truncate(j.names.part, size); err != nil {
			return onDisk("to shorten the partial", err)
		}
	}
	if err := os.Rename(j.names.part, j.file.Path); err != nil {
		return onDisk("to move the file to "+j.file.Path, err)
	}
	if err := (vfs.OS{}).SyncDir(filepath.Dir(j.file.Path)); err != nil {
		return onDisk("to sync the folder "+filepath.Dir(j.file.Path), err)
	}
	return nil
}
