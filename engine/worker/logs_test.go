package worker

import (
	"errors"
	"log/slog"
	"testing"

	"github.com/stretchr/testify/require"

	"samovar/engine/internal/wire"
)

func TestLogsGoToTheParent(t *testing.T) {
	var got []wire.Log
	log := slog.New(logHandler{send: func(k wire.Kind, v any) {
		require.Equal(t, wire.KindLog, k)
		got = append(got, v.(wire.Log))
	}})
	log.Debug("nobody wants that")
	log.With("model", "guide").WithGroup("store").Warn("kept KV is wrong", "bytes", 7, "err", errors.New("short"))
	log.Info("well")
	require.Equal(t, []wire.Log{
		{Level: int(slog.LevelWarn), Message: "kept KV is wrong", Fields: []wire.Field{{Key: "model", Value: "guide"}, {Key: "bytes", Value: "7"}, {Key: "err", Value: "short"}}},
		{Level: int(slog.LevelInfo), Message: "well"},
	}, got)
}
