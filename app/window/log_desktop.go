//go:build desktop

package window

import (
	"context"
	"log/slog"
	"strings"
)

// wailsLog passes the toolkit's log on to ours.
type wailsLog struct{ log *slog.Logger }

func (l wailsLog) say(level slog.Level, message string) {
	l.log.Log(context.Background(), level, "wails: "+strings.TrimSpace(message))
}

func (l wailsLog) Print(message string)   { l.say(slog.LevelInfo, message) }
func (l wailsLog) Trace(message string)   { l.say(slog.LevelDebug, message) }
func (l wailsLog) Debug(message string)   { l.say(slog.LevelDebug, message) }
func (l wailsLog) Info(message string)    { l.say(slog.LevelInfo, message) }
func (l wailsLog) Warning(message string) { l.say(slog.LevelWarn, message) }
func (l wailsLog) Error(message string)   { l.say(slog.LevelError, message) }
func (l wailsLog) Fatal(message string)   { l.say(slog.LevelError, message) }
