package wire

import (
	"bufio"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// Protocol is the version of this protocol. It changes with any change that an
// older peer would misread.
const Protocol = 1

// BuildVersion is set by the linker; parent and worker must have the same.
var BuildVersion = "dev"

// MaxBody bounds a frame's body, in bytes: a request of the largest size that
// the server accepts, escaped by JSON, fits.
const MaxBody = 256 << 20

const headerLen = 5

// ErrMalformed says that the peer sent something that is not this protocol.
var ErrMalformed = errors.New("malformed frame")

// Append appends the frame of kind k with body v to buf.
func Append(buf []byte, k Kind, v any) ([]byte, error) {
	body, err := json.Marshal(v)
	if err != nil {
		return buf, fmt.Errorf("encode %s frame: %w", k, err)
	}
	if len(body) > MaxBody {
		return buf, fmt.Errorf("encode %s frame: %d bytes, at most %d: %w", k, len(body), MaxBody, ErrMalformed)
	}
	buf = binary.LittleEndian.AppendUint32(buf, uint32(len(body)))
	buf = append(buf, byte(k))
	return append(buf, body...), nil
}

// Write writes one frame in one call of w.Write.
func Write(w io.Writer, k Kind, v any) error {
	buf, err := Append(nil, k, v)
	if err != nil {
		return err
	}
	_, err = w.Write(buf)
	return err
}

// Reader reads frames.
type Reader struct {
	r *bufio.Reader
}

// NewReader returns a Reader of r's frames.
func NewReader(r io.Reader) *Reader {
	return &Reader{r: bufio.NewReaderSize(r, 64<<10)}
}

// Frame is one received frame; Decode gives its body.
type Frame struct {
	Kind Kind
	body []byte
}

// Read returns the next frame. io.EOF means that the peer closed the pipe
// between frames; io.ErrUnexpectedEOF that it died inside one.
func (r *Reader) Read() (Frame, error) {
	var head [headerLen]byte
	if _, err := io.ReadFull(r.r, head[:]); err != nil {
		return Frame{}, err
	}
	n := binary.LittleEndian.Uint32(head[:])
	if n > MaxBody {
		return Frame{}, fmt.Errorf("%w: a body of %d bytes, at most %d", ErrMalformed, n, MaxBody)
	}
	k := Kind(head[4])
	if !k.known() {
		return Frame{}, fmt.Errorf("%w: unknown kind %d", ErrMalformed, head[4])
	}
	body, err := readBody(r.r, int(n))
	if err != nil {
		return Frame{}, err
	}
	return Frame{Kind: k, body: body}, nil
}

// readBody reads n bytes, growing as they come, so that a false length cannot
// make it allocate more than the peer really sends.
func readBody(r io.Reader, n int) ([]byte, error) {
	const step = 1 << 20
	body := make([]byte, 0, min(n, step))
	for len(body) < n {
		take := min(n-len(body), step)
		start := len(body)
		body = append(body, make([]byte, take)...)
		if _, err := io.ReadFull(r, body[start:]); err != nil {
			if errors.Is(err, io.EOF) {
				err = io.ErrUnexpectedEOF
			}
			return nil, err
		}
	}
	return body, nil
}

// Decode decodes the body into v, which must be a pointer to the struct that
// belongs to the frame's kind.
func (f Frame) Decode(v any) error {
	if err := json.Unmarshal(f.body, v); err != nil {
		return fmt.Errorf("%w: %s: %w", ErrMalformed, f.Kind, err)
	}
	return nil
}
