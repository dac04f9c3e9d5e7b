package pull

import (
	"context"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"samovar/engine/infer"
	"samovar/engine/models/download"
	"samovar/engine/models/found"
	"samovar/engine/models/hfcache"
	"samovar/engine/models/hub"
	"samovar/engine/models/hub/hubtest"
	"samovar/engine/models/modelstest"
	"samovar/engine/models/registry"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// rig is a manager with a Hub of its own.
type rig struct {
	*Manager
	t     *testing.T
	hub   *hubtest.Hub
	dir   string
	model []byte
}

func newRig(t *testing.T, places found.Places) *rig {
	t.Helper()
	r := &rig{t: t, hub: hubtest.New(t), dir: t.TempDir()}
	var err error
	r.model, err = os.ReadFile(modelstest.Good(t))
	require.NoError(t, err)
	cache := filepath.Join(r.dir, "hub")
	reg, err := registry.Open(registry.Options{Dir: r.dir, Hub: cache, Places: places})
	require.NoError(t, err)
	client := hub.New(hub.Options{Endpoint: r.hub.URL()})
	r.Manager = New(Options{
		Hub: client, Registry: reg, Cache: hfcache.New(cache), Dir: r.dir,
		Download: download.New(download.Options{Parts: filepath.Join(r.dir, "parts")}),
	})
	t.Cleanup(func() { r.Close(); client.Close() })
	return r
}

// pulls a model and waits for the end.
func (r *rig) pulls(name string) infer.Pull {
	r.t.Helper()
	_, err := r.Start(name)
	require.NoError(r.t, err)
	ctx, cancel := context.WithTimeout(r.t.Context(), time.Minute)
	defer cancel()
	p, err := r.Wait(ctx, name)
	require.NoError(r.t, err)
	return p
}

func TestFromANameToAModel(t *testing.T) {
	r := newRig(t, found.Places{})
	r.hub.AddRepo("owner/tiny", hubtest.Files{"tiny-Q4_K_M.gguf": hubtest.Bytes(r.model), "tiny-Q8_0.gguf": hubtest.Bytes(append(r.model, 0)), "README.md": hubtest.Text("# tiny")})
	p := r.pulls("owner/tiny")
	require.Equal(t, infer.PullDone, p.State, p.Error)
	require.Equal(t, "owner/tiny:Q4_K_M", p.Model)
	require.Equal(t, int64(len(r.model)), p.Total)
	m, ok := r.o.Registry.Find(t.Context(), "owner/tiny")
	require.True(t, ok)
	require.Equal(t, registry.OriginOwn, m.Origin)
	require.Equal(t, r.hub.SHA256("owner/tiny", "tiny-Q4_K_M.gguf"), m.SHA256)
	got, err := os.ReadFile(m.Path)
	require.NoError(t, err)
	require.Equal(t, r.model, got)
	require.Empty(t, r.hub.Leaked())

	served := r.hub.Served()
	require.Equal(t, infer.PullDone, r.pulls("owner/tiny:q4_k_m").State)
	require.Less(t, r.hub.Served()-served, int64(100_000), "it is here already")

	_, err = r.Start("not a name at all")
	require.Equal(t, infer.CodeInvalid, infer.CodeOf(err))
	p = r.pulls("owner/nothing")
	require.Equal(t, infer.PullFailed, p.State)
	require.NotEmpty(t, p.Error)
	p = r.pulls("owner/tiny:Q2_K")
	require.Equal(t, infer.PullFailed, p.State)
	require.Contains(t, p.Error+p.Hint, "Q8_0", "it says what there is")
}

func TestManyAskForOne(t *testing.T) {
	r := newRig(t, found.Places{})
	r.hub.AddRepo("owner/tiny", hubtest.Files{"tiny-Q4_K_M.gguf": hubtest.Bytes(r.model)})
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			_, err := r.Start("owner/tiny")
			if err == nil {
				_, err = r.Wait(context.Background(), "owner/tiny")
			}
			if err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	require.Less(t, r.hub.Served(), int64(len(r.model))*105/100+100_000)
	require.Len(t, r.Pulls(), 1)
}

func TestWhatIsWrongNeverBecomesAModel(t *testing.T) {
	r := newRig(t, found.Places{})
	r.hub.AddRepo("owner/bad", hubtest.Files{"bad-Q4_K_M.gguf": hubtest.Bytes(r.model)})
	r.hub.Misbehave(hubtest.CDN, "bad-Q4_K_M.gguf", 1000, hubtest.Corrupt())
	p := r.pulls("owner/bad")
	require.Equal(t, infer.PullFailed, p.State)
	require.NotEmpty(t, p.Hint)
	t.Log(p.Error, p.Hint)
	_, ok := r.o.Registry.Find(t.Context(), "owner/bad")
	require.False(t, ok)
	require.Len(t, r.Pulls(), 1)
	p, err := r.Cancel(t.Context(), "owner/bad")
	require.NoError(t, err)
	require.Equal(t, infer.PullCancelled, p.State)
	require.Empty(t, r.Pulls(), "a failure can be put away")
	r.hub.Behave()
	require.Equal(t, infer.PullDone, r.pulls("owner/bad").State)

	r.hub.AddRepo("owner/text", hubtest.Files{"text-Q4_K_M.gguf": hubtest.Generated(1, 300_000)})
	p = r.pulls("owner/text")
	require.Equal(t, infer.PullFailed, p.State)
	require.Contains(t, p.Error, "no model that Samovar can run")
	_, ok = r.o.Registry.Find(t.Context(), "owner/text")
	require.False(t, ok)
	require.NoFileExists(t, r.o.Cache.BlobPath("owner/text", r.hub.SHA256("owner/text", "text-Q4_K_M.gguf")))

	r.hub.AddRepo("owner/gated", hubtest.Files{"g-Q4_K_M.gguf": hubtest.Generated(3, 300_000)}, hubtest.Gated())
	p = r.pulls("owner/gated")
	require.Equal(t, infer.PullFailed, p.State)
	require.Contains(t, p.Error+p.Hint, "HF_TOKEN")
}

func TestPauseAndCancel(t *testing.T) {
	r := newRig(t, found.Places{})
	const size = 3 << 20
	r.hub.AddRepo("owner/slow", hubtest.Files{"slow-Q4_K_M.gguf": hubtest.Generated(2, size)})
	trickle := func() {
		r.hub.Misbehave(hubtest.CDN, "slow-Q4_K_M.gguf", 1000, hubtest.Trickle(64<<10, 20*time.Millisecond))
	}
	trickle()
	feed, stop := r.Watch()
	defer stop()
	underWay := func() {
		_, err := r.Start("owner/slow")
		require.NoError(t, err)
		for p := range feed {
			require.False(t, p.State.Ended(), "%+v", p)
			if p.Done > 0 {
				return
			}
		}
	}
	underWay()
	p, err := r.Pause(t.Context(), "owner/slow")
	require.NoError(t, err)
	require.Equal(t, infer.PullPaused, p.State)
	partials, err := r.o.Download.Partials()
	require.NoError(t, err)
	require.Len(t, partials, 1, "its bytes stay")
	for len(feed) > 0 {
		<-feed
	}
	underWay()
	p, err = r.Cancel(t.Context(), "owner/slow")
	require.NoError(t, err)
	require.Equal(t, infer.PullCancelled, p.State)
	partials, err = r.o.Download.Partials()
	require.NoError(t, err)
	require.Empty(t, partials)
	_, err = r.Cancel(t.Context(), "owner/other")
	require.Equal(t, infer.CodeNotFound, infer.CodeOf(err))
}

// What another program has already is not downloaded again.
func TestNothingIsDownloadedTwice(t *testing.T) {
	theirs := filepath.Join(t.TempDir(), "theirs")
	r := newRig(t, found.Places{HuggingFace: []string{theirs}})
	r.hub.AddRepo("owner/tiny", hubtest.Files{"tiny-Q4_K_M.gguf": hubtest.Bytes(r.model)})
	sum := r.hub.SHA256("owner/tiny", "tiny-Q4_K_M.gguf")
	c := hfcache.New(theirs)
	blob := c.BlobPath("someone/else", sum)
	require.NoError(t, os.MkdirAll(filepath.Dir(blob), 0o700))
	require.NoError(t, os.WriteFile(blob, r.model, 0o600))
	_, err := c.Link("someone/else", "0123456789abcdef0123456789abcdef01234567", "main", "other-Q4_K_M.gguf", sum)
	require.NoError(t, err)

	p := r.pulls("owner/tiny")
	require.Equal(t, infer.PullDone, p.State, p.Error)
	require.Zero(t, r.hub.Count(hubtest.CDN, "tiny-Q4_K_M.gguf"))
	_, ok := r.o.Registry.Find(t.Context(), "owner/tiny:Q4_K_M")
	require.True(t, ok)
	_, err = r.o.Registry.Remove(t.Context(), "owner/tiny:Q4_K_M")
	require.NoError(t, err)
	require.FileExists(t, blob)
}
