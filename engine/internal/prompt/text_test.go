package prompt

import (
	"bytes"
	"math/rand/v2"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
)

// referenceText is what a TextStream must give for all of b: the slow and
// obvious way.
func referenceText(b []byte, stops []string) (text, stop string) {
	for end := 1; end <= len(b); end++ {
		for _, s := range stops {
			if s != "" && bytes.HasSuffix(b[:end], []byte(s)) && len(s) > len(stop) {
				stop = s
			}
		}
		if stop != "" {
			return valid(b[:end-len(stop)]), stop
		}
	}
	if open := openRune(b); open > 0 {
		return valid(b[:len(b)-open]) + "\uFFFD", ""
	}
	return valid(b), ""
}

// stream pushes b in pieces, cut after each length that next gives.
func stream(t require.TestingT, b []byte, stops []string, next func() int) (text, stop string) {
	s := NewTextStream(stops)
	for len(b) > 0 {
		n := min(next(), len(b))
		piece, found, stopped := s.Push(b[:n])
		require.True(t, utf8.ValidString(piece), "%q", piece)
		text += piece
		if stopped {
			return text, found
		}
		b = b[n:]
	}
	rest := s.Flush()
	require.True(t, utf8.ValidString(rest), "%q", rest)
	return text + rest, ""
}

func TestTextStreamTable(t *testing.T) {
	for _, c := range []struct {
		name, in   string
		stops      []string
		text, stop string
	}{
		{"plain", "hello", nil, "hello", ""},
		{"two- to four-byte characters", "é€😀", nil, "é€😀", ""},
		{"stop", "one STOP two", []string{"STOP"}, "one ", "STOP"},
		{"stop at the start", "STOP", []string{"STOP"}, "", "STOP"},
		{"nearly a stop", "STO STOQ ST", []string{"STOP"}, "STO STOQ ST", ""},
		{"overlapping itself", "aaab", []string{"aab"}, "a", "aab"},
		{"border of a border", "ababac ababad", []string{"ababad"}, "ababac ", "ababad"},
		{"completes first", "abcd", []string{"abcd", "c"}, "ab", "c"},
		{"same end, the longest", "xabc", []string{"c", "abc", "bc"}, "x", "abc"},
		{"same start, the shortest", "abc", []string{"abc", "ab"}, "", "ab"},
		{"stop of characters", "日本語です。終", []string{"。終"}, "日本語です", "。終"},
		{"empty stops are none", "abc", []string{"", ""}, "abc", ""},
		{"invalid bytes", "a\xff\xfeb", nil, "a\uFFFD\uFFFDb", ""},
		{"broken character", "a\xe2\x82b", nil, "a\uFFFD\uFFFDb", ""},
		{"never completed", "a\xf0\x9f\x98", nil, "a\uFFFD", ""},
		{"surrogate half", "\xed\xa0\x80", nil, "\uFFFD\uFFFD\uFFFD", ""},
		{"overlong", "\xc0\xaf", nil, "\uFFFD\uFFFD", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			for size := 1; size <= len(c.in); size++ {
				text, stop := stream(t, []byte(c.in), c.stops, func() int { return size })
				require.Equal(t, c.text, text, "in pieces of %d", size)
				require.Equal(t, c.stop, stop, "in pieces of %d", size)
			}
		})
	}
}

func TestTextStreamSendsWhatIsSure(t *testing.T) {
	s := NewTextStream([]string{"END"})
	text, _, _ := s.Push([]byte("abc E"))
	require.Equal(t, "abc ", text)
	text, _, _ = s.Push([]byte("N"))
	require.Equal(t, "", text)
	text, _, _ = s.Push([]byte("x\xe2\x82"))
	require.Equal(t, "ENx", text)
	text, _, _ = s.Push([]byte("\xac"))
	require.Equal(t, "€", text)
	text, _, _ = s.Push([]byte("\xff!"))
	require.Equal(t, "\uFFFD!", text)
	_, stop, stopped := s.Push([]byte("END more"))
	require.True(t, stopped)
	require.Equal(t, "END", stop)
	text, _, stopped = s.Push([]byte("END"))
	require.False(t, stopped)
	require.Empty(t, text+s.Flush())
}

// Any cut of any bytes gives the reference's text; few letters make stop
// strings and broken characters likely.
func TestTextStreamAnySplit(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	parts := []string{"a", "b", "ab", "é", "€", "😀", "\xe2", "\x82", "\xf0\x9f", "\xff"}
	word := func(n int, whole bool) string {
		var b strings.Builder
		for range n {
			limit := len(parts)
			if whole {
				limit = 6
			}
			b.WriteString(parts[random.IntN(limit)])
		}
		return b.String()
	}
	for range 20_000 {
		in := []byte(word(random.IntN(12), false))
		var stops []string
		for range random.IntN(4) {
			stops = append(stops, word(1+random.IntN(4), true))
		}
		wantText, wantStop := referenceText(in, stops)
		text, stop := stream(t, in, stops, func() int { return 1 + random.IntN(4) })
		require.Equal(t, wantText, text, "%q %q", in, stops)
		require.Equal(t, wantStop, stop, "%q %q", in, stops)
	}
}

func FuzzTextStream(f *testing.F) {
	f.Add([]byte("hello 😀 STOP"), "STOP", "OP", uint64(3))
	f.Add([]byte("\xf0\x9f\x98STO\xe2\x82"), "STO\xe2", "", uint64(1))
	f.Fuzz(func(t *testing.T, in []byte, a, b string, seed uint64) {
		random := rand.New(rand.NewPCG(seed, 0))
		stops := []string{a, b}
		wantText, wantStop := referenceText(in, stops)
		text, stop := stream(t, in, stops, func() int { return 1 + random.IntN(5) })
		require.Equal(t, wantStop, stop)
		if utf8.ValidString(a) && utf8.ValidString(b) {
			require.Equal(t, wantText, text)
		}
	})
}

func BenchmarkTextStream(b *testing.B) {
	token := []byte(" token")
	stops := []string{"</s>", "\n\nHuman:", " tokens", "```"}
	for b.Loop() {
		s := NewTextStream(stops)
		for range 1000 {
			s.Push(token)
		}
	}
}
