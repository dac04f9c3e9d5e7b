package wire

import (
	"bytes"
	"encoding/binary"
	"io"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"samovar/engine/infer"
)

func TestFramesRoundTrip(t *testing.T) {
	temp := 0.5
	submit := Submit{Request: infer.Request{
		ID: "r1", Messages: []infer.Message{{Role: infer.RoleUser, Content: "Grüße \x00 \u2028 <|im_end|>"}},
		Stop: []string{"\n"}, Sampling: infer.Sampling{Temperature: &temp},
	}}
	output := Output{ID: "r1", Event: infer.Event{Text: "hé", Tokens: 2, End: &infer.End{
		Reason: infer.FinishLength, Usage: infer.Usage{PromptTokens: 3, CompletionTokens: 2},
	}}}
	pulse := Pulse{Active: 1, Queued: 1, Requests: []Doing{
		{ID: "r1", Phase: infer.PhasePrefill, Since: 1700000000123, Prompt: 9, Cached: 4, Prefilled: 2},
		{ID: "r2", Phase: infer.PhaseWaiting, Reason: infer.WaitCells, Cells: 70, Room: 30, Prompt: 60},
	}}
	var buf bytes.Buffer
	require.NoError(t, Write(&buf, KindSubmit, submit))
	require.NoError(t, Write(&buf, KindOutput, output))
	require.NoError(t, Write(&buf, KindPulse, pulse))

	r := NewReader(&buf)
	f, err := r.Read()
	require.NoError(t, err)
	require.Equal(t, KindSubmit, f.Kind)
	var gotSubmit Submit
	require.NoError(t, f.Decode(&gotSubmit))
	require.Equal(t, submit, gotSubmit)

	f, err = r.Read()
	require.NoError(t, err)
	var gotOutput Output
	require.NoError(t, f.Decode(&gotOutput))
	require.Equal(t, output, gotOutput)

	f, err = r.Read()
	require.NoError(t, err)
	var gotPulse Pulse
	require.NoError(t, f.Decode(&gotPulse))
	require.Equal(t, pulse, gotPulse)

	_, err = r.Read()
	require.ErrorIs(t, err, io.EOF)
}

func TestReadRefusesWhatIsNotAFrame(t *testing.T) {
	huge := binary.LittleEndian.AppendUint32(nil, MaxBody+1)
	for name, tc := range map[string]struct {
		in   []byte
		want error
	}{
		"body too large": {append(huge, byte(KindHello)), ErrMalformed},
		"unknown kind":   {[]byte{0, 0, 0, 0, 99}, ErrMalformed},
		"died in header": {[]byte{1, 0}, io.ErrUnexpectedEOF},
		"died in body":   {[]byte{9, 0, 0, 0, byte(KindHello), '{'}, io.ErrUnexpectedEOF},
		"no body at all": {[]byte{9, 0, 0, 0, byte(KindHello)}, io.ErrUnexpectedEOF},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := NewReader(bytes.NewReader(tc.in)).Read()
			require.ErrorIs(t, err, tc.want)
		})
	}
}

func TestFalseLengthDoesNotAllocateIt(t *testing.T) {
	in := append(binary.LittleEndian.AppendUint32(nil, MaxBody), byte(KindHello))
	in = append(in, strings.Repeat("x", 100)...)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	_, err := NewReader(bytes.NewReader(in)).Read()
	runtime.ReadMemStats(&after)
	require.ErrorIs(t, err, io.ErrUnexpectedEOF)
	require.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(8<<20))
}

func FuzzReader(f *testing.F) {
	var seed bytes.Buffer
	_ = Write(&seed, KindHello, Hello{Protocol: Protocol, Build: "x"})
	_ = Write(&seed, KindCancel, Cancel{ID: "a"})
	_ = Write(&seed, KindPulse, Pulse{Active: 1, Requests: []Doing{{ID: "a", Phase: infer.PhaseWaiting, Reason: infer.WaitCells, Cells: 9}}})
	f.Add(seed.Bytes())
	f.Add([]byte{0, 0, 0, 0, byte(KindReady)})
	f.Fuzz(func(t *testing.T, in []byte) {
		r := NewReader(bytes.NewReader(in))
		for {
			fr, err := r.Read()
			if err != nil {
				return
			}
			for _, v := range []any{new(Hello), new(Load), new(Submit), new(Output), new(Rejected), new(Ready), new(Pulse)} {
				_ = fr.Decode(v)
			}
		}
	})
}
