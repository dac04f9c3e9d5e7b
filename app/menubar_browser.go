//go:build tray && !desktop

package app

import "log/slog"

// newWindow returns none: this build has no window, and the dashboard opens in a browser.
func newWindow(Process, invocation, *slog.Logger) (w opener, closeIt func()) { return nil, func() {} }
