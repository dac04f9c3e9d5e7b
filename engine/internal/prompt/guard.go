package prompt

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/ardanlabs/jinja"
)

// Bounds on a rendering. Ordinary ones take milliseconds and a few hundred turns.
const (
	renderTimeout = 5 * time.Second
	maxTurns      = 2_000_000
	maxCalls      = 64 // of macros, inside each other
	maxRange      = 100_000
	maxValueDepth = 100
	maxValueNodes = 1_000_000
	// minOutput is the least that a template may print; four times the
	// conversation's size if that is more.
	minOutput = 4 << 20
)

type (
	value  = jinja.Value
	kwargs = map[string]value
)

var none, empty = jinja.Undefined(), jinja.NewString("")

// guard bounds one rendering. translate makes templates report to it.
type guard struct {
	ctx    context.Context
	limit  int // bytes, of all output and of each value
	bytes  int
	turns  int
	depth  int
	raised *string // the template's own error
	now    func() time.Time
}

// errLimit is the end of a rendering that went too far.
type errLimit struct{ what string }

func (e errLimit) Error() string { return e.what }

func (g *guard) spend(bytes int) error {
	if g.turns++; g.turns > maxTurns {
		return errLimit{"it runs in circles"}
	}
	if g.bytes += bytes; g.bytes > g.limit {
		return errLimit{fmt.Sprintf("its text exceeds %d bytes", g.limit)}
	}
	if g.turns%64 == 1 && g.ctx.Err() != nil {
		return context.Cause(g.ctx)
	}
	return nil
}

// globals are the functions that a template sees, ours that translate calls
// among them.
func (g *guard) globals() map[string]value {
	m := make(map[string]value, len(library)+16)
	for name, v := range library {
		m[name] = v
	}
	set := func(name string, fn func([]value, kwargs) (value, error)) {
		m[name] = jinja.NewCallable(name, fn)
	}
	set("raise_exception", g.raise)
	set("strftime_now", g.strftimeNow)
	set(private+"turn", func(args []value, _ kwargs) (value, error) {
		return empty, g.spend(int(args[0].AsInt()))
	})
	set(private+"enter", func(args []value, _ kwargs) (value, error) {
		if g.depth++; g.depth > maxCalls {
			return none, errLimit{fmt.Sprintf("its macros call each other more than %d deep", maxCalls)}
		}
		return empty, g.spend(int(args[0].AsInt()))
	})
	set(private+"leave", func([]value, kwargs) (value, error) {
		g.depth = max(0, g.depth-1)
		return empty, nil
	})
	set(private+"out", g.out)
	set(private+"keep", g.keep)
	return m
}

func (g *guard) raise(args []value, _ kwargs) (value, error) {
	message := "it gives no reason"
	if len(args) > 0 && args[0].IsString() {
		message = args[0].AsString()
	}
	g.raised = &message
	return none, errors.New(message)
}

func (g *guard) strftimeNow(args []value, _ kwargs) (value, error) {
	if len(args) == 0 || !args[0].IsString() {
		return none, errors.New("strftime_now needs a format")
	}
	return jinja.NewString(strftime(args[0].AsString(), g.now())), nil
}

// out turns what is printed into text as Python does.
func (g *guard) out(args []value, _ kwargs) (value, error) {
	v := args[0]
	if !v.IsString() {
		if err := checkValue(v, nil); err != nil {
			return none, err
		}
		v = jinja.NewString(str(v))
	}
	return v, g.spend(len(v.AsString()))
}

// keep checks a value before it is put into a variable or a member of holder:
// values stay small and never contain themselves, as walking one that does
// would overflow the stack, which ends the process.
func (g *guard) keep(args []value, _ kwargs) (value, error) {
	v := args[0]
	if v.IsString() {
		if len(v.AsString()) > g.limit {
			return none, errLimit{fmt.Sprintf("a text in it exceeds %d bytes", g.limit)}
		}
		return v, g.spend(0)
	}
	var holder *value
	if len(args) > 1 {
		holder = &args[1]
	}
	if err := checkValue(v, holder); err != nil {
		return none, err
	}
	return v, g.spend(0)
}

// checkValue refuses values that are huge, deep, or contain holder.
func checkValue(v value, holder *value) error {
	nodes := 0
	var walk func(v value, depth int) error
	walk = func(v value, depth int) error {
		if nodes++; nodes > maxValueNodes || depth > maxValueDepth {
			return errLimit{"a value in it is too large"}
		}
		switch {
		case v.IsList():
			if holder != nil && holder.IsList() && holder.AsList() == v.AsList() {
				return errLimit{"a list in it contains itself"}
			}
			for _, item := range v.AsList().Items {
				if err := walk(item, depth+1); err != nil {
					return err
				}
			}
		case v.IsDict():
			if holder != nil && holder.IsDict() && holder.AsDict() == v.AsDict() {
				return errLimit{"a value in it contains itself"}
			}
			for _, item := range v.AsDict().Data {
				if err := walk(item, depth+1); err != nil {
					return err
				}
			}
		}
		return nil
	}
	return walk(v, 0)
}

// contextOf returns the context of one rendering.
func contextOf(ctx context.Context, timeout time.Duration) (context.Context, context.CancelFunc) {
	return context.WithTimeoutCause(ctx, timeout, errLimit{fmt.Sprintf("it takes more than %v", timeout)})
}

// outputLimit bounds the output for messages of so many bytes.
func outputLimit(bytes int) int { return max(minOutput, 4*bytes) }

// trimSentence takes the full stop off a text that gets one.
func trimSentence(s string) string { return strings.TrimRight(strings.TrimSpace(s), ".") }
