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
	page, err := fs.Sub(built, "frontend/dist/page")
	if err != nil { // the path is a constant
		panic(err)
	}
	return app.Run(untilSignal(), app.Process{Args: os.Args[1:], Stdout: os.Stdout, Stderr: os.Stderr, LookupEnv: os.LookupEnv, Page: page})
}

// untilSignal returns a context that ends with the first signal to end. By then the
// default action is back, so that whoever sees the first one at work can be sure of the
// second: it ends the process at once, and the workers with it, since their pipes close.
// (signal.NotifyContext ends its context first, and loses a second signal that comes
// before its stop is called.)
func untilSignal() context.Context {
	ctx, end := context.WithCancel(context.Background())
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	go func() {
		<-signals
		signal.Stop(signals)
		select {
		case second := <-signals: // it came before Stop had done its work
			_ = syscall.Kill(os.Getpid(), second.(syscall.Signal))
		default:
		}
		end()
	}()
	return ctx
}
