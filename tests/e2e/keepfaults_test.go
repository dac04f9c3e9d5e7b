package e2e

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/zeebo/xxh3"
)

// spare is what Samovar leaves of a disk to others (engine.SpareBytes).
const spare = 2 << 30

// keepFault is a way in which saving can become impossible while Samovar serves.
type keepFault struct {
	name string
	// before prepares the folder of all that is kept; it returns false where this
	// machine cannot do that.
	before func(t *testing.T, kept string) bool
	// spoil and mend work on the store's own folder.
	spoil, mend func(t *testing.T, store string)
	// says is in the reason that is given, reads, that what was saved before can be read.
	says  string
	reads bool
}

var keepFaults = []keepFault{
	{
		name: "the disk is full", says: "The disk is full", reads: true,
		before: func(t *testing.T, kept string) bool { return mountMemory(t, kept, fmt.Sprintf("size=%d", spare+2<<20)) },
		mend: func(t *testing.T, store string) {
			mount(t, "-o", fmt.Sprintf("remount,size=%d", spare+1<<30), filepath.Dir(store))
		},
	},
	{
		name: "the disk has no room for more files", says: "The disk is full", reads: true,
		before: func(t *testing.T, kept string) bool { return mountMemory(t, kept, "size=4g,nr_inodes=14") },
		mend:   func(t *testing.T, store string) { mount(t, "-o", "remount,nr_inodes=1000", filepath.Dir(store)) },
	},
	{
		name: "the folder becomes read-only", says: "read-only", reads: true,
		before: func(t *testing.T, kept string) bool { return canMount() },
		spoil: func(t *testing.T, store string) {
			mount(t, "--bind", store, store)
			t.Cleanup(func() { _ = exec.Command("umount", "-l", store).Run() }) // it may be mended
			mount(t, "-o", "remount,bind,ro", store)
		},
		mend: func(t *testing.T, store string) { runTool(t, "umount", store) },
	},
	{
		name: "writing is forbidden", says: "check its owner and permissions", reads: true,
		before: func(t *testing.T, kept string) bool { return os.Getuid() != 0 }, // root may do all
		spoil:  func(t *testing.T, store string) { require.NoError(t, os.Chmod(filepath.Join(store, "tmp"), 0o500)) },
		mend:   func(t *testing.T, store string) { require.NoError(t, os.Chmod(filepath.Join(store, "tmp"), 0o700)) },
	},
	{
		name: "a file is in the folder's place", says: "Writing into",
		spoil: func(t *testing.T, store string) {
			require.NoError(t, os.Rename(store, store+".away"))
			require.NoError(t, os.WriteFile(store, nil, 0o600))
		},
		mend: func(t *testing.T, store string) {
			require.NoError(t, os.Remove(store))
			require.NoError(t, os.Rename(store+".away", store))
		},
	},
}

func canMount() bool { return runtime.GOOS == "linux" && os.Getuid() == 0 }

func mount(t *testing.T, args ...string) { t.Helper(); runTool(t, "mount", args...) }

func runTool(t *testing.T, name string, args ...string) {
	t.Helper()
	out, err := exec.Command(name, args...).CombinedOutput()
	require.NoError(t, err, "%s %v: %s", name, args, out)
}

// mountMemory mounts a file system in memory, of which nothing is used yet.
func mountMemory(t *testing.T, at, options string) bool {
	t.Helper()
	require.NoError(t, os.Mkdir(at, 0o700))
	if !canMount() || exec.Command("mount", "-t", "tmpfs", "-o", options, "samovar-test", at).Run() != nil {
		return false
	}
	t.Cleanup(func() { runTool(t, "umount", at) })
	return true
}

// guideAsked is a guide that keeps nothing, to tell what is right.
type guideAsked struct {
	in    *instance
	known map[int]string
}

func newGuideAsked(t *testing.T) *guideAsked {
	g := &guideAsked{start(t, setup{args: []string{"--keep-quota", "0"}}), map[int]string{}}
	g.in.awaitReady()
	return g
}

// prompt number i is longer than two files have tokens, and like no other from its
// beginning on.
func prompt(i int) string {
	turned := slices.Concat(rules[i%len(rules):], rules[:i%len(rules)])
	body, _ := json.Marshal(map[string]any{"temperature": 0, "max_tokens": 12, "messages": []map[string]any{
		{"role": "system", "content": fmt.Sprintf("You are number %d. %s", i, strings.Join(slices.Concat(turned, turned, turned), " "))},
		{"role": "user", "content": questions[i%len(questions)].Text},
	}}) // it can be
	return string(body)
}

// asks a prompt of an instance, as an agent of its own, and compares the answer.
func (g *guideAsked) asks(in *instance, i int) asked {
	in.t.Helper()
	ask := func(in *instance) (a asked) {
		r := in.do(in.as(fmt.Sprint("asker-", i), prompt(i)))
		require.Equal(in.t, http.StatusOK, r.status, "%s", r.body)
		r.decode(&a)
		return a
	}
	if g.known[i] == "" {
		g.known[i] = ask(g.in).text()
	}
	a := ask(in)
	require.Equal(in.t, g.known[i], a.text(), "prompt %d", i)
	return a
}

// evict drops what the pool has of a prompt's asker.
func (in *instance) evict(i int) {
	in.t.Helper()
	req, err := http.NewRequest(http.MethodDelete, in.base+fmt.Sprintf("/v1/agents/asker-%d?evict_only=true", i), nil)
	require.NoError(in.t, err)
	r := in.do(req)
	require.Equal(in.t, http.StatusOK, r.status, "%s", r.body)
}

// theStore is the folder of the only model that is kept in a data folder.
func theStore(t *testing.T, dataDir string) string {
	t.Helper()
	folders, err := filepath.Glob(filepath.Join(dataDir, "kv", strings.Repeat("?", 16)))
	require.NoError(t, err)
	require.Len(t, folders, 1)
	return folders[0]
}

// faulty is an instance with a fault.
type faulty struct {
	keepFault
	in     *instance
	store  string
	nth    int // of its next prompt
	before uint64
}

// TestSavingStopsAndComesBack breaks saving in every way, several at a time because it is
// tried again only after half a minute. Serving must go on, with the right answers.
func TestSavingStopsAndComesBack(t *testing.T) {
	t.Parallel() // it waits
	guide := newGuideAsked(t)
	var all []*faulty
	for _, k := range keepFaults {
		dir := t.TempDir()
		if k.before != nil && !k.before(t, filepath.Join(dir, "kv")) {
			t.Logf("left out, since it cannot be made here: %s", k.name)
			continue
		}
		f := &faulty{keepFault: k, nth: 100 * len(all)}
		all = append(all, f)
		f.in = start(t, setup{dataDir: dir})
		f.in.await("it keeps", func() bool { return f.in.health().State == "ready" && f.in.kept().On })
		f.store = theStore(t, dir)
		f.stopsSaving(t, guide)
	}
	// That waits, too.
	t.Run("two instances on one folder of kept KV", func(t *testing.T) { onOneFolder(t, guide) })
	for _, f := range all {
		f.savesAgain(t, guide)
	}
}

func (f *faulty) stopsSaving(t *testing.T, guide *guideAsked) {
	t.Helper()
	first := f.nth
	guide.asks(f.in, first)
	f.in.await("something is written", func() bool { k := f.in.kept(); return k.Blocks > 0 && k.QueueBytes == 0 })
	if f.spoil != nil {
		f.spoil(t, f.store)
	}
	for f.in.kept().Off == "" {
		f.nth++
		require.Less(t, f.nth, first+20, "%s: it does not notice", f.name)
		guide.asks(f.in, f.nth)
		f.in.await("nothing to be written", func() bool { return f.in.kept().QueueBytes == 0 })
	}
	k := f.in.kept()
	require.Contains(t, k.Off, f.says, f.name)
	require.True(t, k.On, f.name)
	require.Contains(t, string(f.in.get("/metrics").body), `samovar_kept_saving{model="guide"} 0`, f.name)

	f.in.evict(first)
	again := guide.asks(f.in, first)
	if f.reads {
		require.GreaterOrEqual(t, again.Usage.Details.Cached, 512, f.name)
	}
	require.Equal(t, "ready", f.in.health().State, f.name)
	f.mend(t, f.store)
	f.before = f.in.kept().Written
}

func (f *faulty) savesAgain(t *testing.T, guide *guideAsked) {
	t.Helper()
	// It is tried when there is something to save, so something has to be asked.
	require.Eventually(t, func() bool { f.nth++; guide.asks(f.in, f.nth); return f.in.kept().Off == "" }, patience, 500*time.Millisecond, f.name)
	f.in.await("something is written", func() bool { k := f.in.kept(); return k.Written > f.before && k.QueueBytes == 0 })
	require.Empty(t, f.in.kept().Rejected, f.name)
	f.in.signal(syscall.SIGTERM)
	require.Zero(t, f.in.awaitExit(), f.name)
	d := askDoctor(t, f.in.dataDir, "127.0.0.1:0", 0)
	require.Len(t, d.Kept.Stores, 1, f.name)
	require.Positive(t, d.Kept.Stores[0].Blocks, f.name)
	require.Empty(t, d.Kept.Stores[0].Wrong, f.name)
	require.Empty(t, d.Kept.Stores[0].Quarantine, f.name)
}

// What is kept has never more bytes than the quota, whoever looks and whenever.
func TestQuotaIsNeverExceeded(t *testing.T) {
	const quota = 5 << 20 // a few files
	guide, dir := newGuideAsked(t), t.TempDir()
	in := start(t, setup{dataDir: dir, args: []string{"--keep-quota", fmt.Sprint(quota)}})
	in.await("it keeps", func() bool { return in.health().State == "ready" && in.kept().On })
	stop := make(chan struct{})
	var watching sync.WaitGroup
	var most int64
	looks := 0
	watching.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
				most = max(most, bytesAtOnce(dir))
				looks++
			}
		}
	})
	for i := range 12 {
		guide.asks(in, i)
		in.await("all is written", func() bool { return in.kept().QueueBytes == 0 })
		require.LessOrEqual(t, in.kept().Bytes, int64(quota))
	}
	k := in.kept()
	require.Positive(t, k.Evicted)
	require.Empty(t, k.Off)
	in.evict(11)
	require.GreaterOrEqual(t, guide.asks(in, 11).Usage.Details.Cached, 512, "the last is kept")
	in.evict(0)
	guide.asks(in, 0)
	in.signal(syscall.SIGTERM)
	require.Zero(t, in.awaitExit())
	close(stop)
	watching.Wait()
	t.Logf("at most %d of %d bytes in %d looks", most, int64(quota), looks)
	require.LessOrEqual(t, most, int64(quota))
	require.Greater(t, most, int64(quota*3/4), "the quota is used")
	require.Empty(t, askDoctor(t, dir, "127.0.0.1:0", 0).Kept.Stores[0].Wrong)
}

// bytesAtOnce is what all files of kept KV had at one moment, unfinished ones included:
// those that are there when all have been listed were there at the same time.
func bytesAtOnce(dataDir string) (bytes int64) {
	files, _ := filepath.Glob(filepath.Join(dataDir, "kv", "*", "??", "*.kv"))        // the pattern is one
	unfinished, _ := filepath.Glob(filepath.Join(dataDir, "kv", "*", "tmp", "*"))     // likewise
	aside, _ := filepath.Glob(filepath.Join(dataDir, "kv", "*", "quarantine", "*.*")) // likewise
	for _, name := range slices.Concat(unfinished, files, aside) {
		if info, err := os.Lstat(name); err == nil {
			bytes += info.Size()
		}
	}
	return bytes
}

// onOneFolder has two instances whose data folders have the same folder of kept KV: the
// second serves, and says that it does not keep anything, and why.
func onOneFolder(t *testing.T, guide *guideAsked) {
	one, other := t.TempDir(), t.TempDir()
	first := start(t, setup{dataDir: one})
	first.await("it keeps", func() bool { return first.health().State == "ready" && first.kept().On })
	require.NoError(t, os.Symlink(filepath.Join(one, "kv"), filepath.Join(other, "kv")))

	second := start(t, setup{dataDir: other})
	second.awaitReady()
	guide.asks(second, 1)
	second.await("it says why", func() bool { return strings.Contains(second.kept().Off, "Another Samovar uses") })
	require.False(t, second.kept().On)
	require.Contains(t, string(second.get("/metrics").body), `samovar_kept_saving{model="guide"} 0`)
	guide.asks(second, 1)
	guide.asks(second, 2)
	require.Empty(t, keptFiles(t, one), "nothing was written")

	guide.asks(first, 1)
	guide.asks(second, 3)
	first.await("all is written", func() bool { k := first.kept(); return k.Blocks > 0 && k.QueueBytes == 0 })
	require.Empty(t, first.kept().Off)
	first.signal(syscall.SIGTERM)
	require.Zero(t, first.awaitExit())
	second.signal(syscall.SIGTERM)
	require.Zero(t, second.awaitExit())

	third := start(t, setup{dataDir: other})
	third.await("it keeps", func() bool { return third.health().State == "ready" && third.kept().On })
	require.GreaterOrEqual(t, guide.asks(third, 1).Usage.Details.Cached, 512)
	require.Empty(t, third.kept().Rejected)
}

// damages are what can happen to a file, and how it is called when it is found.
var damages = []struct {
	reason string
	do     func(data, other []byte) []byte
}{
	{"payload_checksum", func(data, _ []byte) []byte { data[len(data)-100] ^= 4; return data }},
	{"header_checksum", func(data, _ []byte) []byte { data[140] ^= 4; return data }},
	{"size", func(data, _ []byte) []byte { return data[:len(data)/2] }},
	{"magic", func([]byte, []byte) []byte { return nil }},
	{"version", func(data, _ []byte) []byte { data[8]++; return data }},
	{"id", func(_, other []byte) []byte { return other }},
}

// TestDamagedFilesAreNotUsed damages a file of each conversation, in another way each.
func TestDamagedFilesAreNotUsed(t *testing.T) {
	guide, dir := newGuideAsked(t), t.TempDir()
	begin := func() *instance {
		in := start(t, setup{dataDir: dir})
		in.await("it keeps", func() bool { return in.health().State == "ready" && in.kept().On })
		return in
	}
	in := begin()
	firsts := map[int]string{} // the first file of each prompt
	spoilt := len(damages)     // the number of a prompt that stays whole
	for i := range spoilt + 1 {
		had := keptFiles(t, dir)
		guide.asks(in, i)
		in.await("all is written", func() bool { return in.kept().QueueBytes == 0 && len(keptFiles(t, dir)) > len(had) })
		for _, name := range keptFiles(t, dir) {
			if head := readFile(t, name)[:96]; !slices.Contains(had, name) && binary.LittleEndian.Uint32(head[12:]) == 0 {
				firsts[i] = name
			}
		}
		require.NotEmpty(t, firsts[i])
	}
	in.signal(syscall.SIGTERM)
	require.Zero(t, in.awaitExit())

	whole := readFile(t, firsts[spoilt])
	for i, d := range damages {
		require.NoError(t, os.WriteFile(firsts[i], d.do(readFile(t, firsts[i]), slices.Clone(whole)), 0o600))
	}
	require.Len(t, askDoctor(t, dir, "127.0.0.1:0", 1).Kept.Stores[0].Wrong, len(damages))

	in = begin()
	for i, d := range damages {
		a := guide.asks(in, i)
		require.Less(t, a.Usage.Details.Cached, 64, "%s: but for what all begin with", d.reason)
		in.await("it says why", func() bool { return in.kept().Rejected[d.reason] > 0 })
		aside, err := filepath.Glob(filepath.Join(dir, "kv", "*", "quarantine", "*."+d.reason+".kv"))
		require.NoError(t, err)
		require.NotEmpty(t, aside, d.reason)
		in.await("the log says it, too", func() bool {
			return strings.Contains(in.log.String(), "kept KV is wrong") && strings.Contains(in.log.String(), "reason="+d.reason)
		})
	}
	require.GreaterOrEqual(t, guide.asks(in, spoilt).Usage.Details.Cached, 512, "what is whole is used")
	for i := range damages { // it is kept again
		in.evict(i)
		require.GreaterOrEqual(t, guide.asks(in, i).Usage.Details.Cached, 512, damages[i].reason)
	}
	in.signal(syscall.SIGTERM)
	require.Zero(t, in.awaitExit())
	d := askDoctor(t, dir, "127.0.0.1:0", 0)
	require.Equal(t, "warning", d.status("quarantine"))
	require.Empty(t, d.Kept.Stores[0].Wrong)

	require.NoError(t, os.WriteFile(filepath.Join(theStore(t, dir), "index.db"), []byte(strings.Repeat("nonsense", 4096)), 0o600))
	in = begin()
	require.GreaterOrEqual(t, guide.asks(in, 0).Usage.Details.Cached, 512, "the files are the truth, not the index")
	require.Empty(t, in.kept().Rejected)
}

// TestForeignKVIsDisproved gives a file what was computed for another prompt, and
// checksums that fit: only who computes with it can see that.
func TestForeignKVIsDisproved(t *testing.T) {
	dir := t.TempDir()
	begin := func() *instance {
		in := start(t, setup{dataDir: dir, args: []string{"--shape", "tiny"}})
		in.await("it keeps", func() bool { return in.health().State == "ready" && in.kept().On && in.kept().Off == "" })
		return in
	}
	in := begin()
	prompts := []string{strings.Repeat("What goes with tea? ", 30), strings.Repeat("0123456789-", 55)}
	var first asked
	var names []string // of the first file of each
	for i, text := range prompts {
		a := in.asks(text)
		if i == 0 {
			first = a
		}
		had := len(names)
		in.await("its first file", func() bool {
			for _, name := range keptFiles(t, dir) {
				if binary.LittleEndian.Uint32(readFile(t, name)[12:]) == 0 && !slices.Contains(names, name) {
					names = append(names, name)
				}
			}
			return len(names) > had
		})
	}
	in.signal(syscall.SIGTERM)
	require.Zero(t, in.awaitExit())

	// For the format, see package blockfile.
	data, other := readFile(t, names[0]), readFile(t, names[1])
	payload := int(binary.LittleEndian.Uint64(data[24:]))
	head := len(data) - payload
	copy(data[head:], other[len(other)-payload:])
	binary.LittleEndian.PutUint64(data[128:], xxh3.Hash(data[head:]))
	binary.LittleEndian.PutUint64(data[head-8:], xxh3.Hash(data[:head-8]))
	require.NoError(t, os.WriteFile(names[0], data, 0o600))
	require.Empty(t, askDoctor(t, dir, "127.0.0.1:0", 0).Kept.Stores[0].Wrong, "nobody sees it")

	in = begin()
	again := in.asks(prompts[0])
	require.Equal(t, first.Choices, again.Choices)
	in.await("it to be disproved", func() bool { k := in.kept(); return k.Disproved == 1 && k.Rejected["logits"] > 0 })
	require.Less(t, again.Usage.Details.Cached, 64)
}

func readFile(t *testing.T, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(name)
	require.NoError(t, err)
	return data
}
