package download

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestAFileComes(t *testing.T) {
	for _, n := range []int{0, 1, 1000, 64 << 10, 5<<20 + 7} {
		for _, ranges := range []bool{true, false} {
			for _, told := range []bool{true, false} {
				t.Run(fmt.Sprint(n, ranges, told), func(t *testing.T) {
					data := noise(1, n)
					s := serve(t, data)
					s.noRanges = !ranges
					b := newBench(t, s, quick(""))
					if told {
						b.file.Size, b.file.SHA256 = int64(n), strings.ToUpper(digest(data))
					}
					sum, err := b.fetch()
					require.NoError(t, err)
					require.Equal(t, digest(data), sum)
					b.has(data)
					require.EqualValues(t, n, s.served.Load(), "each byte once")
				})
			}
		}
	}
}

func TestRangesComeSideBySide(t *testing.T) {
	data := noise(1, 8<<20)
	s := serve(t, data)
	var at, most atomic.Int64
	meet := make(chan struct{})
	s.do(func(n int, _ http.ResponseWriter, _ *http.Request) bool {
		most.Store(max(most.Load(), at.Add(1)))
		defer at.Add(-1)
		if n == 5 {
			close(meet)
		} else if n > 1 && n < 5 {
			<-meet // three wait for the fourth
		}
		return false
	})
	b := newBench(t, s, quick(""))
	_, err := b.fetch()
	require.NoError(t, err)
	b.has(data)
	require.EqualValues(t, 4, most.Load())
}

func TestWhatIsThereIsNotFetched(t *testing.T) {
	data := noise(1, 1<<20)
	s := serve(t, data)
	b := newBench(t, s, quick(""))
	b.file.SHA256 = digest(data)
	for range 2 {
		sum, err := b.fetch()
		require.NoError(t, err)
		require.Equal(t, digest(data), sum)
		b.has(data)
		require.EqualValues(t, len(data), s.served.Load())
	}
	require.NoError(t, os.WriteFile(b.file.Path, noise(2, 1<<20), 0o600))
	_, err := b.fetch()
	require.NoError(t, err)
	b.has(data)
	require.EqualValues(t, 2*len(data), s.served.Load(), "another one was there")
}

func TestTheServersDigest(t *testing.T) {
	data := noise(1, 1<<20)
	for _, header := range []string{"ETag", "X-Linked-Etag"} {
		t.Run(header, func(t *testing.T) {
			s := serve(t, data)
			s.etag = ""
			told := digest(data)
			s.do(func(_ int, w http.ResponseWriter, _ *http.Request) bool {
				if header == "ETag" {
					s.change(data, `"`+told+`"`)
				} else {
					w.Header().Set(header, `"`+told+`"`)
				}
				return false
			})
			b := newBench(t, s, quick(""))
			_, err := b.fetch()
			require.NoError(t, err)
			b.has(data)
			served := s.served.Load()
			sum, err := b.fetch()
			require.NoError(t, err)
			require.Equal(t, told, sum)
			b.has(data)
			require.LessOrEqual(t, s.served.Load(), served+b.o.least, "it's there: at most the first range was sent")

			told = digest([]byte("another file"))
			require.NoError(t, os.Remove(b.file.Path))
			_, err = b.fetch()
			e := b.failed(err, WrongDigest)
			require.Contains(t, e.Message, told)
			require.Contains(t, e.Message, digest(data))
			b.leftNothing()
		})
	}
}

func TestAServerWithAnotherFileIsNoticedAtOnce(t *testing.T) {
	data := noise(1, 1<<20)
	s := serve(t, data)
	s.do(func(_ int, w http.ResponseWriter, _ *http.Request) bool {
		w.Header().Set("X-Linked-Etag", digest(data))
		return false
	})
	b := newBench(t, s, quick(""))
	b.file.SHA256 = digest([]byte("another one"))
	_, err := b.fetch()
	b.failed(err, WrongDigest)
	require.EqualValues(t, 1, s.requests.Load())
	b.leftNothing()
}

// Whatever the connections do, the result is right or a clear error, and no byte that
// was received is fetched again.
func TestCutsAnywhere(t *testing.T) {
	for seed := range 40 {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			r := rand.New(rand.NewPCG(uint64(seed), 1))
			data := noise(byte(seed), r.IntN(6<<20))
			s := serve(t, data)
			var mu sync.Mutex
			cuts := 1 + r.IntN(40)
			s.cutAt(func(_ int, from, to int64) int64 {
				mu.Lock()
				defer mu.Unlock()
				if cuts == 0 || r.IntN(3) == 0 {
					return -1
				}
				cuts--
				if r.IntN(2) == 0 {
					return r.Int64N(1000)
				}
				return r.Int64N(to - from + 1)
			})
			o := quick("")
			o.Connections = 1 + r.IntN(8)
			o.Tries = 100
			b := newBench(t, s, o)
			sum, err := b.fetch()
			require.NoError(t, err)
			require.Equal(t, digest(data), sum)
			b.has(data)
			require.LessOrEqual(t, float64(s.served.Load()), 1.02*float64(len(data))+64<<10)
		})
	}
}

func TestCutsWithoutRangesBeginAnew(t *testing.T) {
	data := noise(1, 1<<20)
	s := serve(t, data)
	s.noRanges = true
	s.cutAt(func(n int, _, _ int64) int64 {
		if n <= 3 {
			return 900_000
		}
		return -1
	})
	b := newBench(t, s, quick(""))
	sum, err := b.fetch()
	require.NoError(t, err)
	require.Equal(t, digest(data), sum)
	b.has(data)

	s.requests.Store(0)
	s.cutAt(func(int, int64, int64) int64 { return 900_000 })
	require.NoError(t, os.Remove(b.file.Path))
	_, err = b.fetch()
	b.failed(err, Unreachable)
	require.EqualValues(t, b.o.Tries+1, s.requests.Load(), "nothing new came after the first")
}

func TestLies(t *testing.T) {
	data := noise(1, 1<<20)
	partial := func(w http.ResponseWriter, contentRange string, body []byte) bool {
		w.Header().Set("Content-Range", contentRange)
		w.WriteHeader(http.StatusPartialContent)
		_, _ = w.Write(body)
		return true
	}
	for name, c := range map[string]struct {
		answer func(n int, w http.ResponseWriter, r *http.Request) bool
		size   int64
		kind   Kind
		says   string
	}{
		"another range": {func(_ int, w http.ResponseWriter, _ *http.Request) bool {
			return partial(w, "bytes 100-199/1048576", data[:100])
		}, 0, BadServer, "another part"},
		"length and range differ": {func(_ int, w http.ResponseWriter, _ *http.Request) bool {
			w.Header().Set("Content-Length", "50")
			return partial(w, "bytes 0-99/1048576", data[:50])
		}, 0, BadServer, "another part"},
		"no range": {func(_ int, w http.ResponseWriter, _ *http.Request) bool {
			return partial(w, "", data[:100])
		}, 0, BadServer, "which part"},
		"no total": {func(_ int, w http.ResponseWriter, _ *http.Request) bool {
			return partial(w, "bytes 0-99/*", data[:100])
		}, 0, BadServer, "how large"},
		"more than it said": {func(_ int, w http.ResponseWriter, r *http.Request) bool {
			w.Header().Set("Content-Range", "bytes 0-65535/1048576")
			w.WriteHeader(http.StatusPartialContent)
			_, _ = w.Write(data[:65536])
			_ = http.NewResponseController(w).Flush() // so it's chunked
			_, _ = w.Write(data[:1000])
			return true
		}, 0, BadServer, "more of the file"},
		"more than was asked for": {func(_ int, w http.ResponseWriter, r *http.Request) bool {
			_ = http.NewResponseController(w).Flush()
			_, _ = w.Write(data)
			return true
		}, 1000, BadServer, "more than the 1000 bytes"},
		"less than was asked for": {func(_ int, w http.ResponseWriter, r *http.Request) bool {
			_ = http.NewResponseController(w).Flush()
			_, _ = w.Write(data)
			return true
		}, 2 << 20, BadServer, "1048576 bytes, and 2097152"},
		"another size": {func(int, http.ResponseWriter, *http.Request) bool { return false },
			1000, BadServer, "1048576 bytes, and one of 1000"},
		"less than it said": {func(_ int, w http.ResponseWriter, r *http.Request) bool {
			w.Header().Set("Content-Range", "bytes 0-65535/65536")
			w.Header().Set("Content-Length", "65536")
			w.WriteHeader(http.StatusPartialContent)
			return true
		}, 0, Unreachable, "keeps failing"},
		"a web page": {func(_ int, w http.ResponseWriter, _ *http.Request) bool {
			w.Header().Set("Content-Type", "text/html; charset=utf-8")
			fmt.Fprint(w, "<html>Sign in</html>")
			return true
		}, 0, BadServer, "web page"},
		"packed": {func(_ int, w http.ResponseWriter, _ *http.Request) bool {
			w.Header().Set("Content-Encoding", "gzip")
			return false
		}, 0, BadServer, "packed"},
		"nothing": {func(_ int, w http.ResponseWriter, _ *http.Request) bool {
			w.WriteHeader(http.StatusNoContent)
			return true
		}, 0, BadServer, "204"},
		"not found": {func(_ int, w http.ResponseWriter, _ *http.Request) bool {
			w.WriteHeader(http.StatusNotFound)
			return true
		}, 0, NotFound, "no such file"},
		"gated": {func(_ int, w http.ResponseWriter, _ *http.Request) bool {
			w.WriteHeader(http.StatusForbidden)
			return true
		}, 0, Gated, "HF_TOKEN"},
		"no range can be had": {func(_ int, w http.ResponseWriter, _ *http.Request) bool {
			w.WriteHeader(http.StatusRequestedRangeNotSatisfiable)
			return true
		}, 0, BadServer, "refuses"},
		"nowhere": {func(_ int, w http.ResponseWriter, _ *http.Request) bool {
			w.WriteHeader(http.StatusFound)
			return true
		}, 0, BadServer, "an address that is none"},
		"without end": {func(n int, w http.ResponseWriter, r *http.Request) bool {
			http.Redirect(w, r, fmt.Sprintf("/%d", n), http.StatusFound)
			return true
		}, 0, BadServer, "without end"},
		"always busy": {func(n int, w http.ResponseWriter, r *http.Request) bool {
			w.Header().Set("Retry-After", "3600")
			w.WriteHeader(http.StatusTooManyRequests)
			return true
		}, 0, RateLimited, "in 1h0m0s"},
		"always broken": {func(n int, w http.ResponseWriter, r *http.Request) bool {
			w.WriteHeader(http.StatusBadGateway)
			return true
		}, 0, BadServer, "502"},
	} {
		t.Run(name, func(t *testing.T) {
			s := serve(t, data)
			s.before = c.answer
			b := newBench(t, s, quick(""))
			b.file.Size = c.size
			_, err := b.fetch()
			e := b.failed(err, c.kind)
			require.Contains(t, e.Error(), c.says)
			require.LessOrEqual(t, s.requests.Load(), int64(1+4*10))
			if name != "more than was asked for" && name != "less than was asked for" {
				b.leftNothing()
			}
		})
	}
}

// A lie in the middle costs tries, and nothing that has come.
func TestLiesInTheMiddle(t *testing.T) {
	data := noise(1, 4<<20)
	for name, lie := range map[string]func(w http.ResponseWriter){
		"all of the file": func(w http.ResponseWriter) {
			w.Header().Set("Content-Length", fmt.Sprint(len(data)))
			w.Header().Set("ETag", `"one"`)
		},
		"something else": func(w http.ResponseWriter) { fmt.Fprint(w, "{}") },
		"broken":         func(w http.ResponseWriter) { w.WriteHeader(http.StatusServiceUnavailable) },
		"busy": func(w http.ResponseWriter) {
			w.Header().Set("Retry-After", "0")
			w.WriteHeader(http.StatusTooManyRequests)
		},
		"another range": func(w http.ResponseWriter) {
			w.Header().Set("Content-Range", "bytes 0-9/4194304")
			w.WriteHeader(http.StatusPartialContent)
			fmt.Fprint(w, "0123456789")
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := serve(t, data)
			s.do(func(n int, w http.ResponseWriter, _ *http.Request) bool {
				if n%3 == 0 {
					lie(w)
					return true
				}
				return false
			})
			b := newBench(t, s, quick(""))
			b.file.SHA256 = digest(data)
			_, err := b.fetch()
			require.NoError(t, err)
			b.has(data)
			require.EqualValues(t, len(data), s.served.Load())
		})
	}
}

func TestAFileThatChanges(t *testing.T) {
	first, second := noise(1, 2<<20), noise(2, 3<<20)
	for _, marked := range []bool{true, false} {
		t.Run(fmt.Sprint("marked ", marked), func(t *testing.T) {
			s := serve(t, first)
			one, two := `"one"`, `"two"`
			if !marked {
				one, two = "", ""
			}
			s.change(first, one)
			s.do(func(n int, _ http.ResponseWriter, _ *http.Request) bool {
				if n == 3 {
					s.change(second, two)
				}
				return false
			})
			b := newBench(t, s, quick(""))
			sum, err := b.fetch()
			require.NoError(t, err)
			require.Equal(t, digest(second), sum, "all of the new one, nothing of the old one")
			b.has(second)
		})
	}
	t.Run("all the time", func(t *testing.T) {
		s := serve(t, first)
		s.do(func(n int, _ http.ResponseWriter, _ *http.Request) bool {
			s.change(first, fmt.Sprintf(`"%d"`, n))
			return false
		})
		b := newBench(t, s, quick(""))
		_, err := b.fetch()
		b.failed(err, Changed)
		b.leftNothing()
	})
	t.Run("without ranges", func(t *testing.T) {
		s := serve(t, first)
		s.noRanges = true
		s.cutAt(func(n int, _, _ int64) int64 {
			if n == 1 {
				s.change(second, `"two"`)
				return 1 << 20
			}
			return -1
		})
		b := newBench(t, s, quick(""))
		sum, err := b.fetch()
		require.NoError(t, err)
		require.Equal(t, digest(second), sum)
		b.has(second)
	})
}

func TestAStalledConnectionIsCut(t *testing.T) {
	data := noise(1, 2<<20)
	s := serve(t, data)
	s.do(func(n int, w http.ResponseWriter, r *http.Request) bool {
		switch n {
		case 1: // not even an answer
			<-r.Context().Done()
			return true
		case 2, 4: // some bytes, and then nothing
			var from, to int64
			_, err := fmt.Sscanf(r.Header.Get("Range"), "bytes=%d-%d", &from, &to)
			if err != nil {
				panic(err)
			}
			w.Header().Set("ETag", `"one"`)
			w.Header().Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", from, to, len(data)))
			w.Header().Set("Content-Length", fmt.Sprint(to+1-from))
			w.WriteHeader(http.StatusPartialContent)
			_, _ = w.Write(data[from : from+1000])
			_ = http.NewResponseController(w).Flush()
			<-r.Context().Done()
			return true
		}
		return false
	})
	o := quick("")
	o.Stall = 100 * time.Millisecond
	b := newBench(t, s, o)
	_, err := b.fetch()
	require.NoError(t, err)
	b.has(data)
	require.EqualValues(t, len(data)-2000, s.served.Load())
}

// A connection that hardly brings anything doesn't hold up the others, nor the end.
func TestASlowConnectionIsHelped(t *testing.T) {
	data := noise(1, 4<<20)
	s := serve(t, data)
	o := quick("")
	var ahead atomic.Int64 // of the clock
	o.now = func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }
	o.Stall = time.Hour
	s.do(func(n int, w http.ResponseWriter, r *http.Request) bool {
		if n != 2 {
			return false
		}
		var from, to int
		if _, err := fmt.Sscanf(r.Header.Get("Range"), "bytes=%d-%d", &from, &to); err != nil {
			panic(err)
		}
		w.Header().Set("ETag", `"one"`)
		w.Header().Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", from, to, len(data)))
		w.WriteHeader(http.StatusPartialContent)
		_, _ = w.Write(data[from : from+100])
		_ = http.NewResponseController(w).Flush()
		ahead.Add(int64(time.Minute))
		<-r.Context().Done()
		return true
	})
	b := newBench(t, s, o)
	sum, err := b.fetch()
	require.NoError(t, err)
	require.Equal(t, digest(data), sum)
	b.has(data)
	require.EqualValues(t, len(data), b.count.Load())
}

func TestAServerThatNeverAnswers(t *testing.T) {
	s := serve(t, nil)
	s.do(func(_ int, _ http.ResponseWriter, r *http.Request) bool {
		<-r.Context().Done()
		return true
	})
	o := quick("")
	o.Stall, o.Tries = 20*time.Millisecond, 3
	b := newBench(t, s, o)
	_, err := b.fetch()
	require.ErrorIs(t, b.failed(err, Unreachable), errStalled)
	s.Close()
	_, err = b.fetch()
	require.ErrorIs(t, b.failed(err, Unreachable), syscall.ECONNREFUSED)
	b.leftNothing()
}

func TestRetryAfterIsHonoured(t *testing.T) {
	s := serve(t, noise(1, 1000))
	var first, second time.Time
	s.do(func(n int, w http.ResponseWriter, _ *http.Request) bool {
		if n == 1 {
			first = time.Now()
			w.Header().Set("Retry-After", "1")
			w.WriteHeader(http.StatusTooManyRequests)
			return true
		}
		second = time.Now()
		return false
	})
	o := quick("")
	o.LongestWait = time.Minute
	b := newBench(t, s, o)
	_, err := b.fetch()
	require.NoError(t, err)
	require.GreaterOrEqual(t, second.Sub(first), time.Second)
}

func TestWrongDigest(t *testing.T) {
	data := noise(1, 1<<20)
	s := serve(t, data)
	b := newBench(t, s, quick(""))
	b.file.SHA256 = digest([]byte("another"))
	_, err := b.fetch()
	e := b.failed(err, WrongDigest)
	require.Contains(t, e.Message, digest(data))
	require.Contains(t, e.Message, b.file.SHA256)
	require.EqualValues(t, len(data), s.served.Load(), "it was not resumed, so it isn't fetched again")
	b.leftNothing()
}

// interrupted fetches until some of the file has come, and is cancelled then.
func interrupted(t *testing.T, s *site, b *bench) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	old := s.do(nil)
	s.do(func(n int, w http.ResponseWriter, r *http.Request) bool {
		if s.served.Load() > 1<<20 {
			cancel()
			<-r.Context().Done()
			return true
		}
		return old != nil && old(n, w, r)
	})
	_, err := b.Fetch(ctx, b.file, nil)
	require.ErrorIs(t, err, context.Canceled)
	s.do(old)
	require.NoFileExists(t, b.file.Path)
}

func TestACancelledFetchIsResumed(t *testing.T) {
	data := noise(1, 4<<20)
	s := serve(t, data)
	b := newBench(t, s, quick(""))
	interrupted(t, s, b)
	p := b.partial()
	require.Equal(t, b.file.Path, p.Path)
	require.EqualValues(t, len(data), p.Total)
	require.Equal(t, b.count.Load(), p.Done, "all that was received is kept")
	require.Positive(t, p.Done)

	sum, err := b.fetch()
	require.NoError(t, err)
	require.Equal(t, digest(data), sum)
	b.has(data)
	require.Equal(t, int64(len(data)), b.count.Load(), "each byte once")
}

func TestAPartialOfAnotherFileIsNotUsed(t *testing.T) {
	first, second := noise(1, 4<<20), noise(2, 4<<20)
	for name, change := range map[string]func(s *site, b *bench){
		"the server's changed": func(s *site, _ *bench) { s.change(second, `"two"`) },
		"no longer marked":     func(s *site, b *bench) { s.change(second, `"two"`); s.noRanges = true },
		"another is asked for": func(s *site, b *bench) {
			s.change(second, `"one"`)
			b.file.SHA256 = digest(second)
			b.file.URL = s.URL + "/other"
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := serve(t, first)
			b := newBench(t, s, quick(""))
			interrupted(t, s, b)
			change(s, b)
			sum, err := b.fetch()
			require.NoError(t, err)
			require.Equal(t, digest(second), sum)
			b.has(second)
		})
	}
}

// What a portal or a proxy says must not cost what days have brought.
func TestAPartialOutlivesNonsense(t *testing.T) {
	data := noise(1, 4<<20)
	s := serve(t, data)
	b := newBench(t, s, quick(""))
	b.file.Size = int64(len(data))
	interrupted(t, s, b)
	have := b.partial().Done
	for _, nonsense := range []func(w http.ResponseWriter){
		func(w http.ResponseWriter) { fmt.Fprint(w, "Sign in, please.") },
		func(w http.ResponseWriter) { w.Header().Set("Content-Type", "text/html"); fmt.Fprint(w, "<html>") },
		func(w http.ResponseWriter) { w.WriteHeader(http.StatusNotFound) },
		func(w http.ResponseWriter) { w.WriteHeader(http.StatusRequestedRangeNotSatisfiable) },
		func(w http.ResponseWriter) { w.Header().Set("Location", "/x"); w.WriteHeader(http.StatusFound) },
	} {
		s.do(func(_ int, w http.ResponseWriter, _ *http.Request) bool { nonsense(w); return true })
		_, err := b.fetch()
		require.Error(t, err)
		require.Equal(t, have, b.partial().Done)
	}
	s.do(nil)
	_, err := b.fetch()
	require.NoError(t, err)
	b.has(data)
	require.Less(t, b.count.Load(), int64(len(data)+1000))
}

// A partial that a power cut damaged is found out by the digest, and fetched anew.
func TestADamagedPartialIsFetchedOnceMore(t *testing.T) {
	data := noise(1, 4<<20)
	s := serve(t, data)
	b := newBench(t, s, quick(""))
	b.file.SHA256 = digest(data)
	damage := func() {
		interrupted(t, s, b)
		f, err := os.OpenFile(filesOf(b.o.Parts, b.file.Path).part, os.O_WRONLY, 0)
		require.NoError(t, err)
		_, err = f.WriteAt(make([]byte, 4096), 0)
		require.NoError(t, err)
		require.NoError(t, f.Close())
	}
	damage()
	sum, err := b.fetch()
	require.NoError(t, err)
	require.Equal(t, digest(data), sum)
	b.has(data)

	require.NoError(t, os.Remove(b.file.Path))
	s.served.Store(0)
	damage()
	s.change(noise(2, 4<<20), `"one"`) // and now the server has another one, too
	_, err = b.fetch()
	b.failed(err, WrongDigest)
	b.leftNothing()
}

// After a start of the system only what was synced counts.
func TestAfterAPowerCut(t *testing.T) {
	data := noise(1, 4<<20)
	s := serve(t, data)
	b := newBench(t, s, quick(""))
	interrupted(t, s, b)
	names := filesOf(b.o.Parts, b.file.Path)
	j, err := openJournal(names.journal)
	require.NoError(t, err)
	j.rec.Boot = "another"
	require.NoError(t, j.saveSynced(spans{{0, 1000}}))
	require.NoError(t, j.file.Close())
	require.NoError(t, os.WriteFile(names.part, data[:1000], 0o600)) // the rest is lost
	f, err := os.OpenFile(names.part, os.O_WRONLY, 0)
	require.NoError(t, err)
	require.NoError(t, f.Truncate(4<<20))
	require.NoError(t, f.Close())

	b.count.Store(0)
	sum, err := b.fetch()
	require.NoError(t, err)
	require.Equal(t, digest(data), sum)
	b.has(data)
	require.EqualValues(t, len(data)-1000, b.count.Load())
}

func TestAFullDisk(t *testing.T) {
	data := noise(1, 4<<20)
	t.Run("before", func(t *testing.T) {
		s := serve(t, data)
		o := quick("")
		o.free = func(string) (int64, error) { return 3 << 20, nil }
		b := newBench(t, s, o)
		_, err := b.fetch()
		e := b.failed(err, DiskFull)
		require.Contains(t, e.Message, "4.0 MiB")
		require.Contains(t, e.Message, "3.0 MiB")
		b.leftNothing()
	})
	t.Run("in the middle", func(t *testing.T) {
		s := serve(t, data)
		o := quick("")
		var written atomic.Int64
		var roomy atomic.Bool
		o.writeAt = func(f *os.File, p []byte, at int64) (int, error) {
			if written.Add(int64(len(p))) > 2<<20 && !roomy.Load() {
				n, _ := f.WriteAt(p[:len(p)/2], at)
				return n, &os.PathError{Op: "write", Path: f.Name(), Err: syscall.ENOSPC}
			}
			return f.WriteAt(p, at)
		}
		b := newBench(t, s, o)
		_, err := b.fetch()
		require.ErrorIs(t, b.failed(err, DiskFull), syscall.ENOSPC)
		require.Greater(t, b.partial().Done, int64(1<<20))
		roomy.Store(true)
		_, err = b.fetch()
		require.NoError(t, err)
		b.has(data)
	})
}

func TestBadPlaces(t *testing.T) {
	s := serve(t, noise(1, 1000))
	b := newBench(t, s, quick(""))
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "file"), nil, 0o600))
	b.file.Path = filepath.Join(dir, "file", "model.gguf")
	_, err := b.fetch()
	b.failed(err, Disk)

	b.file.Path = filepath.Join(dir, "folder")
	require.NoError(t, os.Mkdir(b.file.Path, 0o700))
	_, err = b.fetch()
	var e *Error
	require.ErrorAs(t, err, &e)
	require.Equal(t, Disk, e.Kind)

	for _, f := range []File{
		{URL: "ftp://example.org/x", Path: "/x"},
		{URL: "https:///x", Path: "/x"},
		{URL: "://secret", Path: "/x"},
		{URL: s.URL, Path: "x"},
		{URL: s.URL, Path: "/x", Size: -1},
		{URL: s.URL, Path: "/x", SHA256: "abc"},
	} {
		b.file = f
		_, err := b.fetch()
		b.failed(err, Invalid)
	}
}
