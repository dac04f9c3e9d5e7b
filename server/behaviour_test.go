package server_test

import (
	"bufio"
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"samovar/engine/infer"
	"samovar/server"
)

// serve runs a Server on a socket until the test ends or stop is called; stop
// returns what Serve returned.
func serve(t *testing.T, o server.Options) (base string, stop func() error) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- server.New(o).Serve(ctx, ln) }()
	stop = sync.OnceValue(func() error { cancel(); return <-served })
	t.Cleanup(func() { _ = stop() })
	return "http://" + ln.Addr().String(), stop
}

func post(ctx context.Context, t *testing.T, url, body string) *http.Response {
	t.Helper()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, url, strings.NewReader(body))
	require.NoError(t, err)
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	resp, err := transport.RoundTrip(r)
	require.NoError(t, err)
	t.Cleanup(func() { resp.Body.Close() })
	return resp
}

func TestFirstEventComesBeforeTheFirstToken(t *testing.T) {
	for path, first := range map[string]string{chatPath: `"role":"assistant"`, messagesPath: "message_start"} {
		begin := make(chan struct{})
		e := newFake(step{wait: begin, ev: infer.Event{Text: "late"}}, end(infer.FinishStop))
		base, _ := serve(t, server.Options{Engine: e})
		resp := post(t.Context(), t, base+path, body(`"stream":true`))
		lines := bufio.NewReader(resp.Body)
		line, err := lines.ReadString('\n')
		require.NoError(t, err)
		require.Contains(t, line, first)
		close(begin)
		rest, err := io.ReadAll(lines)
		require.NoError(t, err)
		require.Contains(t, string(rest), "late")
	}
}

// never is a script that waits until it is cancelled.
func never() step { return step{wait: make(chan struct{})} }

func TestClientGoneCancelsTheGeneration(t *testing.T) {
	for _, path := range []string{chatPath, messagesPath} {
		for _, more := range []string{`"stream":true`, `"stream":false`} {
			e := newFake(text("a"), never())
			base, _ := serve(t, server.Options{Engine: e})
			ctx, leave := context.WithCancel(t.Context())
			gone := make(chan struct{})
			go func() {
				defer close(gone)
				r, _ := http.NewRequestWithContext(ctx, "POST", base+path, strings.NewReader(body(more)))
				transport := &http.Transport{}
				defer transport.CloseIdleConnections()
				if resp, err := transport.RoundTrip(r); err == nil {
					_, _ = io.Copy(io.Discard, resp.Body)
					resp.Body.Close()
				}
			}()
			st := <-e.opened
			require.NoError(t, st.ctx.Err())
			leave()
			<-st.ctx.Done()
			<-st.closed
			<-gone
			require.Eventually(t, func() bool {
				r := records(t, base)[0]
				require.NotContains(t, r, "error", "it was told to nobody")
				return r["outcome"] == "client_gone"
			}, 10*time.Second, time.Millisecond)
		}
	}
}

func TestSilenceIsFilled(t *testing.T) {
	for path, sign := range map[string]string{chatPath: `"delta":{},"logprobs":null,"finish_reason":null`, messagesPath: "event: ping"} {
		synctest.Test(t, func(t *testing.T) {
			// 35 s of prefill, in which events without text arrive, and 5 s more.
			e := newFake(step{delay: 12 * time.Second}, step{delay: 23 * time.Second, ev: infer.Event{Text: "a"}},
				step{delay: 5 * time.Second, ev: infer.Event{Text: "b"}}, end(infer.FinishStop))
			began := time.Now()
			w := do(e, newRequest("POST", path, body(`"stream":true`)))
			require.Equal(t, 40*time.Second, time.Since(began))
			before, after, _ := strings.Cut(w.Body.String(), `"a"`)
			signs := strings.Count(before, sign)
			if path == messagesPath {
				signs-- // the one that begins the message
			}
			require.Equal(t, 3, signs, before)
			require.NotContains(t, after, "ping")
		})
	}
}

// stuckWriter is a client that takes so many writes and then none in time.
type stuckWriter struct {
	*httptest.ResponseRecorder
	left int
}

func (w *stuckWriter) Write(p []byte) (int, error) {
	if w.left--; w.left < 0 {
		return 0, context.DeadlineExceeded
	}
	return w.ResponseRecorder.Write(p)
}

func TestWriteErrorEndsTheGeneration(t *testing.T) {
	for _, path := range []string{chatPath, messagesPath} {
		e := newFake(text("a"), text("b"), never())
		w := &stuckWriter{httptest.NewRecorder(), 2}
		server.New(server.Options{Engine: e}).Handler().ServeHTTP(w, newRequest("POST", path, body(`"stream":true`)))
		st := <-e.opened
		<-st.closed
		require.Error(t, st.ctx.Err())
	}
}

// A client that reads nothing fills the socket's buffers and is cut off.
func TestSlowReaderIsCutOff(t *testing.T) {
	script := make([]step, 0, 200)
	for range 200 {
		script = append(script, text(strings.Repeat("x", 1<<17)))
	}
	e := newFake(append(script, never())...)
	base, _ := serve(t, server.Options{Engine: e, WriteTimeout: 50 * time.Millisecond})
	post(t.Context(), t, base+chatPath, body(`"stream":true`)) // and never reads
	st := <-e.opened
	<-st.closed
	require.Error(t, st.ctx.Err())
}

func TestShutdownLetsStreamsFinish(t *testing.T) {
	release := make(chan struct{})
	e := newFake(text("a"), step{wait: release, ev: infer.Event{Text: "the end"}}, end(infer.FinishStop))
	base, stop := serve(t, server.Options{Engine: e, DrainTimeout: time.Minute})
	resp := post(t.Context(), t, base+messagesPath, body(`"stream":true`))
	stopped := make(chan error, 1)
	go func() { stopped <- stop() }()
	close(release)
	all, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	require.Contains(t, string(all), "the end")
	require.Contains(t, string(all), "message_stop")
	require.NoError(t, <-stopped)
}

func TestShutdownEndsWhatOutlastsTheGrace(t *testing.T) {
	for path, want := range map[string]string{chatPath: `data: {"error":`, messagesPath: "event: error"} {
		e := newFake(text("a"), never())
		base, stop := serve(t, server.Options{Engine: e, DrainTimeout: time.Millisecond})
		resp := post(t.Context(), t, base+path, body(`"stream":true`))
		stopped := make(chan error, 1)
		go func() { stopped <- stop() }()
		all, err := io.ReadAll(resp.Body)
		require.NoError(t, err)
		require.Contains(t, string(all), want)
		require.Contains(t, string(all), "stopping")
		require.NoError(t, <-stopped)
	}
}

// Whoever asked for the stop may lose patience with those that are still answered.
func TestHurryEndsWhatIsStillAnswered(t *testing.T) {
	s := server.New(server.Options{Engine: newFake(text("a"), never()), DrainTimeout: time.Hour})
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	served := make(chan error, 1)
	go func() { served <- s.Serve(ctx, ln) }()
	resp := post(t.Context(), t, "http://"+ln.Addr().String()+chatPath, body(`"stream":true`))
	stop()
	s.Hurry()
	s.Hurry()
	all, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	require.Contains(t, string(all), "stopping")
	require.NoError(t, <-served)
}

func TestPanicsBecomeErrors(t *testing.T) {
	var log strings.Builder
	opts := server.Options{Engine: newFake(step{panic: "secret"}), Log: slog.New(slog.NewTextHandler(&log, nil))}
	for _, path := range []string{chatPath, messagesPath} {
		log.Reset()
		w := doWith(opts, newRequest("POST", path, body("")))
		require.Equal(t, http.StatusInternalServerError, w.Code)
		require.NotContains(t, w.Body.String(), "secret")
		require.Equal(t, 1, strings.Count(log.String(), "level=ERROR"))
		require.Contains(t, log.String(), "secret")

		w = doWith(opts, newRequest("POST", path, body(`"stream":true`)))
		require.Contains(t, w.Body.String(), "internal error")
		require.NotContains(t, w.Body.String(), "secret")
	}
}

func TestPromptsAreNotLogged(t *testing.T) {
	var log strings.Builder
	opts := server.Options{Engine: newFake(hello()...), Log: slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))}
	doWith(opts, newRequest("POST", chatPath, body("")))
	doWith(opts, newRequest("POST", messagesPath, `{"messages":"Hello"`))
	require.NotEmpty(t, log.String())
	require.NotContains(t, log.String(), "Hello")
	require.NotContains(t, log.String(), "Hel")
}

func TestManyAtOnce(t *testing.T) {
	e := newFake(hello()...)
	base, _ := serve(t, server.Options{Engine: e})
	client := &http.Client{Transport: &http.Transport{}}
	defer client.CloseIdleConnections()
	var wg sync.WaitGroup
	for i := range 64 {
		wg.Go(func() {
			path := []string{chatPath, messagesPath}[i%2]
			r, _ := http.NewRequest("POST", base+path, strings.NewReader(body([]string{`"stream":true`, ""}[i/2%2])))
			r.Header.Set("X-Request-Id", "the-same") // for all
			resp, err := client.Do(r)
			if err != nil {
				t.Error(err)
				return
			}
			defer resp.Body.Close()
			all, err := io.ReadAll(resp.Body)
			if err != nil || resp.StatusCode != http.StatusOK || !strings.Contains(string(all), "lo <b>") {
				t.Errorf("%d %v %s", resp.StatusCode, err, all)
			}
		})
	}
	wg.Wait()
	ids := map[string]bool{}
	for _, r := range e.requests() {
		ids[r.ID] = true
	}
	require.Len(t, ids, 64, "ids are unique to the engine whatever clients send")
}
