package main

import (
	"context"
	"embed"
	"io/fs"
	"os"
	"os/signal"
	"syscall"

	"samovar/app"
	"samovar/engine/calm"
)

// built is the dashboard, in page, if `make build` has made it.
//
//go:embed all:frontend/dist
var built embed.FS

func main() {
	calm.Process()
	os.Exit(run())
}

func run() int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	// After the first signal the default action is back: a second one ends the
	// process at once, and the worker with it, since its pipe closes.
	context.AfterFunc(ctx, stop)
	page, err := fs.Sub(built, "frontend/dist/page")
	if err != nil { // the path is a constant
		panic(err)
	}
	return app.Run(ctx, app.Process{Args: os.Args[1:], Stdout: os.Stdout, Stderr: os.Stderr, LookupEnv: os.LookupEnv, Page: page})
}
