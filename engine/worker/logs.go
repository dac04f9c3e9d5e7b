package worker

import (
	"context"
	"log/slog"

	"samovar/engine/internal/wire"
)

// logHandler sends what is logged to the parent, whose log it is: the worker has none.
type logHandler struct {
	send  func(wire.Kind, any)
	attrs []slog.Attr
}

// Enabled implements slog.Handler.
func (h logHandler) Enabled(_ context.Context, l slog.Level) bool { return l >= slog.LevelInfo }

// Handle implements slog.Handler.
func (h logHandler) Handle(_ context.Context, r slog.Record) error {
	m := wire.Log{Level: int(r.Level), Message: r.Message}
	add := func(a slog.Attr) bool {
		m.Fields = append(m.Fields, wire.Field{Key: a.Key, Value: a.Value.String()})
		return true
	}
	for _, a := range h.attrs {
		add(a)
	}
	r.Attrs(add)
	h.send(wire.KindLog, m)
	return nil
}

// WithAttrs implements slog.Handler.
func (h logHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	h.attrs = append(h.attrs[:len(h.attrs):len(h.attrs)], attrs...)
	return h
}

// WithGroup implements slog.Handler. Groups are not told apart.
func (h logHandler) WithGroup(string) slog.Handler { return h }
