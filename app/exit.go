package app

import (
	"errors"

	"samovar/app/listen"
	"samovar/app/paths"
	"samovar/app/window"
)

// The exit codes, as documented in --help and the README.
const (
	exitOK      = 0
	exitFailed  = 1               // the work could not be done
	exitUsage   = 2               // command line, setting or file at fault
	exitAddress = 3               // the address cannot be listened on
	exitLocked  = 4               // another instance uses the data folder
	exitWindow  = window.ExitNone // no window can be shown here
)

const exitHelp = `
Exit codes: 0 done; 1 failed; 2 wrong command line, setting or file; 3 the address is taken or cannot be used; 4 another samovar uses the data folder; 5 no window can be shown here.
`

// usageError is a mistake on the command line, in a setting or in a file that
// one of them names.
type usageError struct{ error }

// Unwrap returns the mistake.
func (e usageError) Unwrap() error { return e.error }

// exitCode is the one place where an error becomes an exit code.
func exitCode(err error) int {
	var (
		usage   usageError
		address *listen.Error
		held    *paths.HeldError
		blind   noWindowError
	)
	switch {
	case err == nil:
		return exitOK
	case errors.As(err, &usage):
		return exitUsage
	case errors.As(err, &address):
		return exitAddress
	case errors.As(err, &held):
		return exitLocked
	case errors.As(err, &blind):
		return exitWindow
	default:
		return exitFailed
	}
}
