package engine

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"samovar/engine/infer"
	"samovar/engine/internal/wire"
)

// The test binary plays the worker when it is started under a name that begins
// with "worker-"; what follows says which part.
func TestMain(m *testing.M) {
	if part, ok := strings.CutPrefix(filepath.Base(os.Args[0]), "worker-"); ok {
		syscall.Exit(play(part)) // os.Exit waits a second for the race detector
	}
	goleak.VerifyTestMain(m)
}

func play(part string) int {
	out := os.NewFile(3, "frames")
	send := func(k wire.Kind, v any) {
		if err := wire.Write(out, k, v); err != nil {
			syscall.Exit(0)
		}
	}
	in := wire.NewReader(os.Stdin)
	read := func(v any) wire.Kind {
		f, err := in.Read()
		if err != nil {
			syscall.Exit(0)
		}
		if err := f.Decode(v); err != nil {
			syscall.Exit(9)
		}
		return f.Kind
	}
	hello := wire.Hello{Protocol: wire.Protocol, Build: wire.BuildVersion}
	if part == "oldversion" {
		hello.Build = "v0-ancient"
	}
	send(wire.KindHello, hello)
	var load wire.Load
	read(&load)
	fmt.Fprintln(os.Stderr, "worker: loading", load.Path)
	switch part {
	case "badmodel":
		send(wire.KindFailed, wire.Failed{Reason: "It is no GGUF.", Hint: "Get another."})
		return 0
	case "diesloading":
		count(load.Path)
		fmt.Fprintln(os.Stderr, "GGML_ASSERT(n_layer > 0) failed")
		return 134
	case "nonsense":
		_, _ = out.WriteString("hello, this is not a frame at all")
		return 0
	}
	if part == "deaf" { // nothing that the parent does ends it
		send(wire.KindReady, wire.Ready{Model: infer.Model{Name: "fake"}})
		select {}
	}
	starts := count(load.Path)
	switch {
	case part == "mute" && starts == 1: // it can tell nothing any more
		send(wire.KindReady, wire.Ready{Model: infer.Model{Name: "fake"}})
		_ = out.Close()
		select {}
	case part == "full" && starts == 1: // it takes nothing any more
		send(wire.KindReady, wire.Ready{Model: infer.Model{Name: "fake", ContextTokens: 100, PoolCells: 1600, Sequences: 16}})
		select {}
	}
	if part == "slow" && starts > 1 { // it loads until it may go on
		for _, err := os.Stat(load.Path + ".go"); err != nil; _, err = os.Stat(load.Path + ".go") {
			time.Sleep(time.Millisecond)
		}
	}
	send(wire.KindProgress, wire.Progress{Fraction: 0.5})
	send(wire.KindReady, wire.Ready{Model: infer.Model{Name: "fake", ContextTokens: 100, PoolCells: 1600, Sequences: 16}})
	serveFake(send, read, starts)
	return 0
}

// count appends a line to a file beside path for each call, and returns how many
// there are.
func count(path string) int {
	f, err := os.OpenFile(path+".count", os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err == nil {
		_, _ = f.WriteString("x\n")
		_ = f.Close()
	}
	all, _ := os.ReadFile(path + ".count")
	return strings.Count(string(all), "\n")
}

// serveFake answers by what the last message says.
func serveFake(send func(wire.Kind, any), read func(any) wire.Kind, starts int) {
	served := 0
	for {
		var m struct {
			wire.Submit
			ID string  `json:"id"`
			Op wire.Op `json:"op"`
		}
		kind := read(&m)
		if kind == wire.KindPing {
			send(wire.KindPong, wire.Pong{})
			continue
		}
		if kind == wire.KindQuery && m.Op == wire.OpCanary {
			send(wire.KindAnswer, wire.Answer{ID: m.ID, Error: &infer.Error{Code: infer.CodeInternal, Message: "The canary came out wrong."}})
			fmt.Fprintln(os.Stderr, "worker: the canary came out wrong")
			syscall.Exit(1)
		}
		if kind == wire.KindQuery {
			body := `[{"id":"ann","tier":"hot","tokens":9,"hot_tokens":9}]`
			switch m.Op {
			case wire.OpAgent:
				body = `{"id":"ann"}`
			case wire.OpSavings:
				body = `{"total":{"requests":7}}`
			}
			send(wire.KindAnswer, wire.Answer{ID: m.ID, Body: []byte(body)})
			continue
		}
		if kind == wire.KindTrim {
			continue
		}
		if kind == wire.KindCancel {
			if strings.HasPrefix(m.ID, "watched") { // tell through a request that waits for it
				send(wire.KindOutput, wire.Output{ID: "witness", Event: infer.Event{Text: "cancelled " + m.ID, End: &infer.End{Reason: infer.FinishStop}}})
			}
			continue
		}
		r := m.Request
		say := r.Messages[len(r.Messages)-1].Content
		if say == "too long" {
			send(wire.KindRejected, wire.Rejected{ID: r.ID, Error: infer.Error{Code: infer.CodeContextLength, PromptTokens: 9, LimitTokens: 4}})
			continue
		}
		send(wire.KindAccepted, wire.Accepted{ID: r.ID, Usage: infer.Usage{PromptTokens: 2 + starts}})
		served++
		if p, ok := strings.CutPrefix(say, "tell "); ok { // a pulse, and wait
			send(wire.KindPulse, json.RawMessage(p))
			continue
		}
		switch say {
		case "survive": // in the second worker
			if starts > 1 {
				send(wire.KindOutput, wire.Output{ID: r.ID, Event: infer.Event{Text: fmt.Sprint(served), Tokens: 1, End: &infer.End{Reason: infer.FinishStop}}})
			}
		case "kill":
			syscall.Exit(139)
		case "open and kill": // with nothing computed
			if len(m.Said) == 0 {
				send(wire.KindOutput, wire.Output{ID: r.ID, Event: infer.Event{Text: "so ", Tokens: 1}, Token: 100, Opened: true})
			}
			syscall.Exit(139)
		case "die":
			words := []string{"last ", "words ", "and ", "more"}
			for i := len(m.Said); i < len(words); i++ {
				send(wire.KindOutput, wire.Output{ID: r.ID, Event: infer.Event{Text: words[i], Tokens: 1}, Token: int32(100 + i)})
				if starts == 1 && i == 1 {
					fmt.Fprintln(os.Stderr, "worker: segmentation fault")
					syscall.Exit(139)
				}
			}
			if len(m.Said) > 0 && !slices.Equal(m.Said, []int32{100, 101}) {
				syscall.Exit(9)
			}
			send(wire.KindOutput, wire.Output{ID: r.ID, Event: infer.Event{End: &infer.End{Reason: infer.FinishStop}}})
		case "kill when there are two": // and not alone
			if starts < 3 {
				syscall.Exit(139)
			}
			send(wire.KindOutput, wire.Output{ID: r.ID, Event: infer.Event{Text: "alive", Tokens: 1, End: &infer.End{Reason: infer.FinishStop}}})
		case "wait":
		case "speak": // and wait
			send(wire.KindOutput, wire.Output{ID: r.ID, Event: infer.Event{Text: "yes", Tokens: 1}})
		case "hang": // until it is stopped
			if starts > 1 {
				send(wire.KindOutput, wire.Output{ID: r.ID, Event: infer.Event{Text: "back", Tokens: 1, End: &infer.End{Reason: infer.FinishStop}}})
			}
		default:
			for _, word := range strings.SplitAfter(say, " ") {
				send(wire.KindOutput, wire.Output{ID: r.ID, Event: infer.Event{Text: word, Tokens: 1}})
			}
			send(wire.KindOutput, wire.Output{ID: r.ID, Event: infer.Event{End: &infer.End{
				Reason: infer.FinishStop, Usage: infer.Usage{PromptTokens: 3, CompletionTokens: 2}}}})
		}
	}
}

// fakeConfig is a Config whose worker plays part.
func fakeConfig(t *testing.T, part string) Config {
	self, err := os.Executable()
	require.NoError(t, err)
	dir := t.TempDir()
	path := filepath.Join(dir, "worker-"+part)
	require.NoError(t, os.Symlink(self, path))
	return Config{
		WorkerPath: path, StateDir: filepath.Join(dir, "state"), KVType: "f16",
		Model: ModelFile{ID: "m", Aliases: []string{"alias"}, Path: filepath.Join(dir, "model.gguf")},
		Log:   slog.New(slog.DiscardHandler),
	}
}
