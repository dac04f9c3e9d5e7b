package download

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"os"
	"sync/atomic"
)

// hashBytes are read at a time. They stay in the processor's cache between the reading
// and the hashing.
const hashBytes = 256 << 10

// A hasher follows the part of a file that is whole from its start, so that little is
// left to be hashed when the last byte comes. What it reads has just been written and
// is still in memory, but for what was there before.
type hasher struct {
	file   io.ReaderAt
	ledger *ledger
	done   atomic.Int64
}

// run hashes until the file is whole, and returns the digest.
func (h *hasher) run(ctx context.Context) (string, error) {
	sum, buf := sha256.New(), make([]byte, hashBytes)
	var at int64
	turn := 0
	for {
		ready, size, now := h.ledger.ready()
		if now != turn { // it's fetched from the start again, and may be overwritten
			sum.Reset()
			at, turn = 0, now
		}
		if at == ready && at == size {
			return hex.EncodeToString(sum.Sum(nil)), nil
		}
		if at == ready {
			select {
			case <-h.ledger.moved:
				continue
			case <-ctx.Done():
				return "", context.Cause(ctx)
			}
		}
		if err := context.Cause(ctx); err != nil {
			return "", err
		}
		piece := buf[:min(int64(len(buf)), ready-at)]
		if _, err := h.file.ReadAt(piece, at); err != nil {
			return "", onDisk("to read what has come", err)
		}
		if _, _, now := h.ledger.ready(); now != turn {
			continue
		}
		sum.Write(piece) //nolint:errcheck // a hash never fails
		at += int64(len(piece))
		h.done.Store(at)
	}
}

// digestOf reads a whole file. done says how far it is.
func digestOf(ctx context.Context, name string, done *atomic.Int64) (digest string, bytes int64, err error) {
	f, err := os.Open(name)
	if err != nil {
		return "", 0, err
	}
	defer f.Close()
	sum, buf := sha256.New(), make([]byte, hashBytes)
	for {
		n, err := f.Read(buf)
		sum.Write(buf[:n]) //nolint:errcheck // a hash never fails
		bytes += int64(n)
		done.Store(bytes)
		if err == io.EOF {
			return hex.EncodeToString(sum.Sum(nil)), bytes, nil
		}
		if err == nil {
			err = context.Cause(ctx)
		}
		if err != nil {
			return "", bytes, err
		}
	}
}
