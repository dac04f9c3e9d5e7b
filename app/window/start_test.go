package window

import (
	"context"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"samovar/app/instance"
)

func starter(t *testing.T, script string) Starter {
	t.Helper()
	dir := t.TempDir()
	return Starter{Command: []string{"/bin/sh", "-c", script}, Record: filepath.Join(dir, "state", "instance.json"), Log: filepath.Join(dir, "state", "start.log")}
}

// serving is an API, and the record of it.
func serving(t *testing.T) instance.Record {
	t.Helper()
	api := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	t.Cleanup(api.Close)
	return instance.Record{PID: 1, Addr: strings.TrimPrefix(api.URL, "http://")}
}

func TestStartWaitsUntilItIsLive(t *testing.T) {
	s := starter(t, `mv ready state/instance.json; exit 0`) // it may hand over and leave
	dir := filepath.Dir(filepath.Dir(s.Record))
	require.NoError(t, instance.Write(filepath.Join(dir, "ready"), serving(t)))
	s.Command[2] = "cd " + dir + "; " + s.Command[2]
	require.NoError(t, s.Start(t.Context()))
	require.FileExists(t, s.Record)
	s.Command = []string{"/nowhere/samovar"}
	require.NoError(t, s.Start(t.Context()), "one is live already")
}

func TestStartSaysWhyItFailed(t *testing.T) {
	require.ErrorContains(t, starter(t, `echo trying; echo "samovar: the address is taken" >&2; exit 3`).Start(t.Context()), "it said: samovar: the address is taken")
	require.ErrorContains(t, starter(t, `exit 1`).Start(t.Context()), "it said nothing")
	s := starter(t, "")
	s.Command = []string{"/nowhere/samovar"}
	require.ErrorIs(t, s.Start(t.Context()), os.ErrNotExist)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	// It waits for nothing, so that it is gone soon after.
	require.ErrorContains(t, starter(t, `echo loading; exec sleep 0.3`).Start(ctx), "it said: loading")
}
