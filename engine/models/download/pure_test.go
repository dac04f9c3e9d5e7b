package download

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// Spans do what a set of bytes does.
func TestSpansAgainstASet(t *testing.T) {
	const size = 60
	for seed := range uint64(300) {
		r := rand.New(rand.NewPCG(seed, 0))
		var s spans
		var set [size]bool
		for range r.IntN(20) {
			from := r.Int64N(size)
			x := span{from, from + r.Int64N(min(12, size-from)+1)}
			s = s.with(x)
			for i := x.from; i < x.to; i++ {
				set[i] = true
			}
			require.True(t, s.valid(size), "%v", s)
		}
		var sum, frontier int64
		for _, in := range set {
			if in {
				sum++
			}
		}
		for frontier < size && set[frontier] {
			frontier++
		}
		gap := span{frontier, frontier}
		for gap.to < size && !set[gap.to] {
			gap.to++
		}
		require.Equal(t, sum, s.sum())
		require.Equal(t, frontier, s.frontier())
		require.Equal(t, gap, s.gap(size), "%v", s)
		for _, e := range s {
			for i := e.from; i < e.to; i++ {
				require.True(t, set[i])
			}
		}
		cut := r.Int64N(size + 1)
		for _, e := range s.until(cut) {
			require.LessOrEqual(t, e.to, cut)
		}
		data, err := json.Marshal(s)
		require.NoError(t, err)
		var back spans
		require.NoError(t, json.Unmarshal(data, &back))
		require.Equal(t, s.sum(), back.sum())
	}
	for _, bad := range []spans{{{-1, 2}}, {{3, 3}}, {{0, 61}}, {{5, 6}, {0, 1}}, {{0, 5}, {5, 6}}, {{0, 5}, {4, 6}}} {
		require.False(t, bad.valid(size), "%v", bad)
	}
}

// However claims are given, shared, cut off and given back: each byte is fetched by
// one at a time, and in the end all have come.
func TestClaimsCoverTheFile(t *testing.T) {
	for seed := range uint64(200) {
		r := rand.New(rand.NewPCG(seed, 0))
		now := time.Unix(0, 0)
		o := Options{Connections: 1 + r.IntN(6), now: func() time.Time { return now }}.withDefaults()
		o.least, o.most = 1+r.Int64N(50), 50+r.Int64N(100)
		size := r.Int64N(5000)
		l := newLedger(&o, size, spans(nil).with(span{min(10, size), min(20, size)}))
		var held []*claim
		var fetched int64
		for !l.isFull() {
			now = now.Add(time.Duration(r.IntN(3)) * time.Second)
			if len(held) < 8 {
				if c := l.claim(); c != nil {
					require.LessOrEqual(t, c.end-c.at, o.most)
					held = append(held, c)
				}
			}
			for i, a := range held {
				for _, b := range held[i+1:] {
					require.True(t, a.end <= b.at || b.end <= a.at || a.at == a.end || b.at == b.end)
				}
			}
			if len(held) == 0 {
				continue
			}
			i := r.IntN(len(held))
			c := held[i]
			before, _ := l.state()
			left, _ := l.add(c, r.Int64N(40))
			after, _ := l.state()
			fetched += after - before
			if left == 0 || r.IntN(4) == 0 {
				l.release(c)
				held = append(held[:i], held[i+1:]...)
			}
		}
		done, _ := l.state()
		require.Equal(t, size, done)
		require.Equal(t, size-min(10, max(size-10, 0)), fetched)
	}
}

func TestASlowConnectionShares(t *testing.T) {
	now := time.Unix(0, 0)
	o := Options{Connections: 2, now: func() time.Time { return now }}.withDefaults()
	l := newLedger(&o, 16<<20, nil)
	slow, quick := l.claim(), l.claim()
	for c := quick; c != nil; c = l.claim() {
		l.add(c, c.end-c.at)
		l.release(c)
	}
	l.add(slow, 1<<10)
	require.Nil(t, l.claim(), "it has just begun")
	now = now.Add(6 * time.Second)
	c := l.claim()
	require.NotNil(t, c)
	require.Equal(t, slow.end, c.at)
	require.Greater(t, slow.end, slow.at)
	left, _ := l.add(slow, 4<<20)
	require.Zero(t, left, "what it has too much counts for nothing")
	l.add(c, c.end-c.at)
	require.True(t, l.isFull())
}

func TestJournalSlots(t *testing.T) {
	names := filesOf(t.TempDir(), "/m")
	j, err := openJournal(names.journal)
	require.NoError(t, err)
	defer j.file.Close()
	j.begin(record{Path: "/m", URL: "http://h/x", Size: 1 << 30, SHA256: digest(nil), Mark: identity{ETag: `"e"`}, Boot: "b"})
	for i := range int64(5) {
		require.NoError(t, j.save(func() spans { return spans{{0, i + 1}} }))
		rec, err := peek(names.journal)
		require.NoError(t, err)
		require.Equal(t, spans{{0, i + 1}}, rec.Done)
		require.Equal(t, "/m", rec.Path)
	}
	// A slot that is damaged gives way to the other one.
	for at := range int64(100) {
		var was, is [1]byte
		newest := int64(j.rec.Seq%2) * slotBytes
		_, err := j.file.ReadAt(was[:], newest+at)
		require.NoError(t, err)
		is[0] = was[0] ^ 1
		_, err = j.file.WriteAt(is[:], newest+at)
		require.NoError(t, err)
		rec, err := peek(names.journal)
		require.NoError(t, err)
		require.Equal(t, spans{{0, 4}}, rec.Done, "byte %d", at)
		_, err = j.file.WriteAt(was[:], newest+at)
		require.NoError(t, err)
	}
	// What doesn't fit is left out, from the end.
	var many spans
	for i := range int64(5000) {
		many = append(many, span{i * 1000, i*1000 + 1})
	}
	require.NoError(t, j.save(func() spans { return many }))
	rec, err := peek(names.journal)
	require.NoError(t, err)
	require.NotEmpty(t, rec.Done)
	require.Equal(t, many[:len(rec.Done)], rec.Done)
}

func FuzzJournal(f *testing.F) {
	line, err := encodeSlot(record{Version: journalVersion, Seq: 3, Path: "/m", Size: 100, Done: spans{{0, 10}, {20, 30}}})
	require.NoError(f, err)
	f.Add(line)
	f.Add(bytes.Repeat([]byte("\n"), 20000))
	f.Add([]byte("0 {}\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		rec, err := readRecord(bytes.NewReader(data))
		if err == nil {
			require.NotZero(t, rec.Seq)
			require.Equal(t, journalVersion, rec.Version)
			require.True(t, rec.Done.valid(unknownEnd))
		}
	})
}

func FuzzContentRange(f *testing.F) {
	f.Add("bytes 0-9/100")
	f.Fuzz(func(t *testing.T, s string) {
		if of, total, ok := parseContentRange(s); ok {
			require.GreaterOrEqual(t, of.from, int64(0))
			require.Greater(t, of.to, of.from)
			require.True(t, total == -1 || total >= of.to)
		}
	})
}

func TestContentRange(t *testing.T) {
	of, total, ok := parseContentRange("bytes 5-9/100")
	require.True(t, ok)
	require.Equal(t, span{5, 10}, of)
	require.EqualValues(t, 100, total)
	_, total, ok = parseContentRange("bytes 5-9/*")
	require.True(t, ok)
	require.EqualValues(t, -1, total)
	for _, s := range []string{
		"", "bytes", "bytes 1-2", "bytes 2-1/10", "bytes 1-10/10", "bytes -1/10", "items 1-2/3", "bytes 1-2/-1", "bytes */10",
		"bytes 1-9223372036854775807/*", "bytes 1-99999999999999999999/*", "bytes a-b/c",
	} {
		_, _, ok := parseContentRange(s)
		require.False(t, ok, s)
	}
}

func TestIdentity(t *testing.T) {
	old := identity{ETag: `"a"`, Linked: "l", Modified: "Mon"}
	for _, c := range []struct {
		now  identity
		at   string
		same bool
	}{
		{identity{ETag: `"a"`}, "", true},
		{identity{ETag: `W/"a"`}, "", true},
		{identity{ETag: `"b"`}, "", false},
		{identity{ETag: `"b"`, Linked: "l"}, "", true},
		{identity{ETag: `"a"`, Linked: "k"}, "", false},
		{identity{ETag: `"b"`, Linked: "l"}, `"a"`, false},
		{identity{ETag: `"b"`}, `"b"`, true},
		{identity{Modified: "Mon"}, "", true},
		{identity{Modified: "Tue"}, "", false},
		{identity{}, "", true},
	} {
		require.Equal(t, c.same, old.same(c.now, c.at), "%+v", c)
	}
	require.Empty(t, old.condition(&place{}), "another place may call it otherwise")
	require.Equal(t, `"c"`, old.condition(&place{etag: `"c"`}))
	require.Equal(t, `"a"`, identity{ETag: `"a"`}.condition(&place{}))
	require.Empty(t, identity{ETag: `W/"a"`}.condition(&place{}), "If-Range takes strong ones only")
}

func TestRetryAfter(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	require.Equal(t, 7*time.Second, retryAfter("7", now))
	require.Equal(t, 90*time.Second, retryAfter(now.Add(90*time.Second).UTC().Format(http.TimeFormat), now))
	for _, s := range []string{"", "-1", "soon", now.Add(-time.Hour).UTC().Format(http.TimeFormat)} {
		require.Zero(t, retryAfter(s, now), s)
	}
}

func TestSameSite(t *testing.T) {
	origin, err := url.Parse("https://Hub.example")
	require.NoError(t, err)
	for to, same := range map[string]bool{
		"https://hub.example/x": true, "https://hub.example:443": true, "http://hub.example": false,
		"https://hub.example:444": false, "https://cdn.hub.example": false, "https://hub.example.evil": false,
		"https://evil@hub.example": true, "https://hub.example@evil": false,
	} {
		u, err := url.Parse(to)
		require.NoError(t, err)
		require.Equal(t, same, sameSite(u, origin), to)
	}
}

func TestSpeedAndETA(t *testing.T) {
	var m meter
	now := time.Unix(0, 0)
	require.Zero(t, m.speed(1, now, 5000), "what was there isn't speed")
	for i := range int64(100) {
		now = now.Add(100 * time.Millisecond)
		require.InDelta(t, 1000, m.speed(1, now, 5000+100*(i+1)), 1)
	}
	for range 60 {
		now = now.Add(100 * time.Millisecond)
		m.speed(1, now, 15000)
	}
	require.Zero(t, m.speed(1, now, 15000), "it has been still for a while")
	require.LessOrEqual(t, len(m.samples), 110)
	require.Zero(t, m.speed(2, now.Add(time.Second), 16000), "of something else")
	require.Zero(t, m.speed(2, now.Add(2*time.Second), 0), "from the start again")
	require.Equal(t, 10*time.Second, eta(1000, 100))
	require.Zero(t, eta(1000, 0))
	require.Zero(t, eta(0, 100))
	require.Positive(t, eta(1<<62, 1))
}

func TestDigestIn(t *testing.T) {
	hex := strings.Repeat("aB", 32)
	require.Equal(t, strings.ToLower(hex), digestIn(`"`+hex+`"`))
	require.Equal(t, strings.ToLower(hex), digestIn(`W/"`+hex+`"`))
	for _, s := range []string{"", `"`, hex[1:], hex + "a", strings.Repeat("g", 64)} {
		require.Empty(t, digestIn(s), s)
	}
}

func TestErrorsTellNoSecrets(t *testing.T) {
	err := unreachable("h", &url.Error{Op: "Get", URL: "https://h/x?sig=secret", Err: fmt.Errorf("reset")})
	require.NotContains(t, fmt.Sprintf("%v %+v", err, err.err.Err), "secret")
	require.Equal(t, "https://h/x", public("https://me:secret@h/x?token=secret#secret"))
}
