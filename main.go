package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"samovar/app"
	"samovar/engine/calm"
)

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
	return app.Run(ctx, app.Process{Args: os.Args[1:], Stdout: os.Stdout, Stderr: os.Stderr, LookupEnv: os.LookupEnv})
}
