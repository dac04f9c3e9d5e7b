//go:build desktop

package app

import (
	"io"
	"log/slog"
	"os"
	"os/exec"

	"samovar/app/window"
)

// newWindow returns the menu bar's window: a process of its own, which closeIt ends.
func newWindow(p Process, inv invocation, log *slog.Logger) (w opener, closeIt func()) {
	exe, err := os.Executable()
	if err != nil {
		log.Warn("there is no window, since this program's own file cannot be found", "err", err)
		return nil, func() {}
	}
	child := window.NewChild(window.ChildOptions{Log: log, Command: func(page string) *exec.Cmd {
		args := append([]string{cmdWindow, "--child"}, sameFolder(inv)...)
		if page != "" {
			args = append(args, "--page", page)
		}
		cmd := exec.Command(exe, args...)
		cmd.Stdout, cmd.Stderr = ownFile(p.Stdout), ownFile(p.Stderr)
		return cmd
	}})
	return child, child.Close
}

// ownFile is what a child may write to by itself: a file, and nothing that this process
// would have to copy to.
func ownFile(w io.Writer) io.Writer {
	if f, ok := w.(*os.File); ok {
		return f
	}
	return nil
}
