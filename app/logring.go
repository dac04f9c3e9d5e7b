package app

import (
	"context"
	"log/slog"
	"slices"
	"sync"

	"samovar/server/control"
)

// logRing hands the log on, and remembers its last lines for whoever looks.
type logRing struct {
	next slog.Handler
	// attrs are those that every line has.
	attrs []slog.Attr
	*logLines
}

// logLines is what all handlers of one log share.
type logLines struct {
	mu       sync.Mutex
	lines    []control.LogLine // the oldest first
	watchers []chan control.LogLine
}

// ringLines is how many are remembered.
const ringLines = 2000

func newLogRing(next slog.Handler) *logRing { return &logRing{next: next, logLines: &logLines{}} }

// Enabled implements slog.Handler.
func (r *logRing) Enabled(ctx context.Context, l slog.Level) bool { return r.next.Enabled(ctx, l) }

// Handle implements slog.Handler.
func (r *logRing) Handle(ctx context.Context, rec slog.Record) error {
	line := control.LogLine{At: rec.Time, Level: rec.Level.String(), Message: rec.Message, Fields: []control.LogField{}}
	add := func(a slog.Attr) bool {
		line.Fields = append(line.Fields, control.LogField{Key: a.Key, Value: a.Value.Resolve().String()})
		return true
	}
	for _, a := range r.attrs {
		add(a)
	}
	rec.Attrs(add)
	r.put(line)
	return r.next.Handle(ctx, rec)
}

// WithAttrs implements slog.Handler.
func (r *logRing) WithAttrs(attrs []slog.Attr) slog.Handler {
	return &logRing{next: r.next.WithAttrs(attrs), attrs: slices.Concat(r.attrs, attrs), logLines: r.logLines}
}

// WithGroup implements slog.Handler. Nothing of ours uses groups.
func (r *logRing) WithGroup(name string) slog.Handler {
	return &logRing{next: r.next.WithGroup(name), attrs: r.attrs, logLines: r.logLines}
}

func (l *logLines) put(line control.LogLine) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.lines) == ringLines {
		l.lines = slices.Delete(l.lines, 0, 1)
	}
	l.lines = append(l.lines, line)
	for _, w := range l.watchers {
		select {
		case w <- line:
		default:
		}
	}
}

// last returns the newest lines, the newest first.
func (l *logLines) last(limit int) []control.LogLine {
	l.mu.Lock()
	defer l.mu.Unlock()
	all := slices.Clone(l.lines[max(0, len(l.lines)-limit):])
	slices.Reverse(all)
	return all
}

func (l *logLines) watch() (feed <-chan control.LogLine, stop func()) {
	w := make(chan control.LogLine, 64)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.watchers = append(l.watchers, w)
	return w, func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.watchers = slices.DeleteFunc(l.watchers, func(o chan control.LogLine) bool { return o == w })
	}
}
