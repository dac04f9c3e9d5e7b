package prompt

import (
	"math/rand/v2"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
)

// stream pushes pieces and returns all text and the stop string.
func stream(t testing.TB, stops []string, pieces ...string) (text, stop string) {
	s := NewTextStream(stops)
	for _, p := range pieces {
		part, found, stopped := s.Push([]byte(p))
		require.True(t, utf8.ValidString(part), "%q", part)
		text += part
		if stopped {
			return text, found
		}
	}
	return text + s.Flush(), ""
}

func TestCharactersAreNeverSplit(t *testing.T) {
	s := NewTextStream(nil)
	var got []string
	for _, b := range []byte("é🫖x") {
		text, _, _ := s.Push([]byte{b})
		got = append(got, text)
	}
	require.Equal(t, []string{"", "é", "", "", "", "🫖", "x"}, got)
	require.Empty(t, s.Flush())
}

func TestBytesThatAreNoTextBecomeReplacements(t *testing.T) {
	text, _ := stream(t, nil, "a\xff", "b\xe2\x82", "c", "\xf0\x9f")
	require.Equal(t, "a\uFFFDb\uFFFDc\uFFFD", text)
}

func TestStopStrings(t *testing.T) {
	for name, tc := range map[string]struct {
		stops, pieces []string
		text, stop    string
	}{
		"in one token":              {[]string{"END"}, []string{"one END two"}, "one ", "END"},
		"over three tokens":         {[]string{"END"}, []string{"one E", "N", "D two"}, "one ", "END"},
		"a start that is none":      {[]string{"END"}, []string{"one EN", "TRY"}, "one ENTRY", ""},
		"never completed":           {[]string{"END"}, []string{"one EN"}, "one EN", ""},
		"the first to start":        {[]string{"two", "one"}, []string{"zero one two"}, "zero ", "one"},
		"the first listed":          {[]string{"ab", "abc"}, []string{"xabc"}, "x", "ab"},
		"repeating start":           {[]string{"aab"}, []string{"a", "a", "a", "b"}, "a", "aab"},
		"inside the last character": {[]string{"é"}, []string{"caf\xc3", "\xa9!"}, "caf", "é"},
		"empty ones are ignored":    {[]string{""}, []string{"text"}, "text", ""},
	} {
		t.Run(name, func(t *testing.T) {
			text, stop := stream(t, tc.stops, tc.pieces...)
			require.Equal(t, tc.text, text)
			require.Equal(t, tc.stop, stop)
		})
	}
}

// However a text is cut into tokens, the same comes out: all of it, up to the
// first stop string.
func TestCutsDoNotMatter(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	alphabet := []string{"a", "b", "ab", "é", "🫖", "\n", "世"}
	for range 3000 {
		var text string
		for range r.IntN(20) {
			text += alphabet[r.IntN(len(alphabet))]
		}
		stops := []string{"ab🫖", "éa", "bb"}[:r.IntN(4)]
		want, wantStop := stream(t, stops, text)
		var pieces []string
		for rest := text; rest != ""; {
			n := 1 + r.IntN(min(4, len(rest)))
			pieces, rest = append(pieces, rest[:n]), rest[n:]
		}
		got, gotStop := stream(t, stops, pieces...)
		require.Equal(t, want, got, "%q cut as %q", text, pieces)
		require.Equal(t, wantStop, gotStop)
		if len(stops) == 0 {
			require.Equal(t, text, got)
		}
	}
}

func FuzzTextStream(f *testing.F) {
	f.Add([]byte("hello \xf0\x9f\xab\x96 END"), "END", uint8(3))
	f.Fuzz(func(t *testing.T, in []byte, stop string, step uint8) {
		n := int(step%7) + 1
		s := NewTextStream([]string{stop})
		var out strings.Builder
		for len(in) > 0 {
			k := min(n, len(in))
			text, _, stopped := s.Push(in[:k])
			in = in[k:]
			require.True(t, utf8.ValidString(text))
			out.WriteString(text)
			if stopped {
				break
			}
		}
		out.WriteString(s.Flush())
		require.True(t, utf8.ValidString(out.String()))
		if utf8.ValidString(stop) && stop != "" && !strings.Contains(stop, "\uFFFD") {
			require.NotContains(t, out.String(), stop)
		}
	})
}
