//go:build !tray && !desktop

package app

import (
	"context"
	"log/slog"

	"samovar/app/config"
	"samovar/app/paths"
)

// hasMenuBar says whether this build has one.
const hasMenuBar = false

// menuBar serves: this build has no menu bar.
func menuBar(ctx context.Context, p Process, inv invocation, s config.Settings, where paths.Paths, log *slog.Logger, problem error) error {
	if problem != nil {
		return problem
	}
	return serve(ctx, p, inv, s, where, log)
}
