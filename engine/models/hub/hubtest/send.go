package hubtest

import (
	"io"
	"net/http"
	"strconv"
	"time"
)

// body is the sending of a file's content, and how it goes wrong.
type body struct {
	*recorder
	seen    seen
	content Content
	etag    string
	size    int64 // bytes of the whole file

	cut      int64 // bytes after which it breaks off; negative: never
	anywhere bool  // it breaks off somewhere
	stall    bool  // it doesn't break off but hangs
	lie      int64 // bytes that are announced and aren't there
	noRanges bool
	trickle  int // bytes at a time; 0: all at once
	pause    time.Duration

	sent   int64
	budget int64 // bytes that fit in what was announced; negative: all
}

// send serves a file, with Range, If-Range, ETag and HEAD as net/http does, and with
// trouble if there is any.
func (h *Hub) send(w *recorder, s seen, at Place, repo string, f *blob, etag string) {
	b := &body{recorder: w, seen: s, content: f.content, etag: etag, size: f.content.Size(), cut: -1, budget: -1}
	if s.Method == http.MethodGet {
		if t := h.trouble(at, repo, f.path, true); t != nil {
			t.body(h, b)
		}
	}
	w.Header().Set("Content-Type", "application/octet-stream")
	w.Header().Set("ETag", b.etag)
	r := s.Request
	if b.noRanges {
		r = r.Clone(r.Context())
		r.Header.Del("Range")
		w.Header().Set("Accept-Ranges", "none")
	}
	http.ServeContent(b, r, "", time.Time{}, io.NewSectionReader(b.content, 0, b.size))
}

// WriteHeader lies about the length, if it's to, and decides where to break off.
func (b *body) WriteHeader(status int) {
	n, err := strconv.ParseInt(b.Header().Get("Content-Length"), 10, 64)
	if err == nil && b.anywhere {
		b.cut = b.h.upTo(n)
	}
	if err == nil && b.lie != 0 {
		announced := max(n+b.lie, 0)
		b.Header().Set("Content-Length", strconv.FormatInt(announced, 10))
		b.budget = announced
	}
	b.recorder.WriteHeader(status)
}

// Write sends what may be sent, and then breaks off or hangs.
func (b *body) Write(p []byte) (int, error) {
	asked := len(p)
	if b.budget >= 0 {
		p = p[:min(int64(len(p)), b.budget-b.sent)]
	}
	over := b.cut >= 0 && b.sent+int64(len(p)) > b.cut
	if over {
		p = p[:max(b.cut-b.sent, 0)]
	}
	if err := b.write(p); err != nil {
		return 0, err
	}
	if over {
		_ = http.NewResponseController(b.ResponseWriter).Flush()
		if b.stall {
			b.h.waitFor(b.seen.Request)
		}
		panic(http.ErrAbortHandler)
	}
	return asked, nil
}

func (b *body) write(p []byte) error {
	for len(p) > 0 {
		piece := p
		if b.trickle > 0 {
			piece = p[:min(b.trickle, len(p))]
		}
		n, err := b.ResponseWriter.Write(piece)
		b.sent += int64(n)
		b.h.update(b.log, func(r *Request) {
			if r.Status/100 == 2 { // else it's a text of why not
				r.Bytes += int64(n)
			}
		})
		if err != nil {
			return err
		}
		p = p[n:]
		if b.trickle > 0 {
			_ = http.NewResponseController(b.ResponseWriter).Flush()
			select {
			case <-time.After(b.pause):
			case <-b.seen.Context().Done():
				return b.seen.Context().Err()
			case <-b.h.done:
				return http.ErrServerClosed
			}
		}
	}
	return nil
}
