package hubtest

import (
	"bytes"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"io"
	"strings"
)

// Content is a file's: a bytes.Reader, a strings.Reader or an io.SectionReader will do.
// It may be read by several goroutines at once.
type Content interface {
	io.ReaderAt
	Size() int64 // bytes
}

// Files are a repository's, by path.
type Files map[string]Content

// Bytes is a small file's content.
func Bytes(b []byte) Content { return bytes.NewReader(b) }

// Text is a small file's content.
func Text(s string) Content { return strings.NewReader(s) }

// Generated is a large file's content: bytes that look random, are the same for the same
// seed, and take no memory. It begins like a GGUF file.
func Generated(seed uint64, size int64) Content { return generated{seed, size} }

type generated struct {
	seed uint64
	size int64
}

func (g generated) Size() int64 { return g.size }

const word = 8 // bytes that are generated at once

func (g generated) ReadAt(p []byte, off int64) (int, error) {
	if off < 0 {
		return 0, fmt.Errorf("hubtest: offset %d", off)
	}
	n := int(min(max(g.size-off, 0), int64(len(p))))
	var one [word]byte
	for done := 0; done < n; {
		at := off + int64(done)
		within := int(at % word)
		if within == 0 && n-done >= word {
			binary.LittleEndian.PutUint64(p[done:], g.word(at/word))
			done += word
			continue
		}
		binary.LittleEndian.PutUint64(one[:], g.word(at/word))
		done += copy(p[done:n], one[within:])
	}
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

// word is splitmix64's, except for the first, which is GGUF's magic and version 3.
func (g generated) word(i int64) uint64 {
	if i == 0 {
		return 'G' | 'G'<<8 | 'U'<<16 | 'F'<<24 | 3<<32
	}
	z := g.seed + uint64(i)*0x9e3779b97f4a7c15
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

// changed is a content of the same size that differs in every byte.
type changed struct{ Content }

func (c changed) ReadAt(p []byte, off int64) (int, error) {
	n, err := c.Content.ReadAt(p, off)
	for i := range p[:n] {
		p[i] ^= 0x55
	}
	return n, err
}

// A blob is a file with what the Hub knows of it.
type blob struct {
	path    string
	content Content
	lfs     bool
	sha256  string // hex: LFS's oid
	git     string // hex: of the file itself, or of the pointer to it that git stores
	pointer int64  // bytes of that pointer
	xet     string // hex: what the CDN has for an ETag
}

// largeFile is where a file goes into LFS whatever its name, in bytes.
const largeFile = 10 << 20

func newBlob(path string, content Content, inGit bool) *blob {
	b := &blob{path: path, content: content}
	sum := sha256.New()
	must(io.Copy(sum, io.NewSectionReader(content, 0, content.Size())))
	b.sha256 = hex.EncodeToString(sum.Sum(nil))
	b.lfs = !inGit && (content.Size() > largeFile || strings.HasSuffix(strings.ToLower(path), ".gguf") || strings.HasSuffix(path, ".safetensors"))
	if !b.lfs {
		b.git = gitBlob(content, content.Size())
		return b
	}
	pointer := fmt.Sprintf("version https://git-lfs.github.com/spec/v1\noid sha256:%s\nsize %d\n", b.sha256, content.Size())
	b.pointer = int64(len(pointer))
	b.git = gitBlob(strings.NewReader(pointer), b.pointer)
	xet := sha256.Sum256([]byte("xet of " + b.sha256))
	b.xet = hex.EncodeToString(xet[:])
	return b
}

// gitBlob is git's name for a file.
func gitBlob(content io.ReaderAt, size int64) string {
	sum := sha1.New()
	fmt.Fprintf(sum, "blob %d\x00", size)
	must(io.Copy(sum, io.NewSectionReader(content, 0, size)))
	return hex.EncodeToString(sum.Sum(nil))
}

// must panics: a test's content that can't be read is a fault of the test.
func must(_ int64, err error) {
	if err != nil {
		panic(err)
	}
}
