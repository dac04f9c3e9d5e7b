package notify

import (
	"context"
	"errors"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestScriptsGetTextsAsArguments(t *testing.T) {
	var ran []string
	s := script{Options{Run: func(_ context.Context, name string, args ...string) error {
		ran = append([]string{name}, args...)
		return nil
	}}}
	const nasty = `-e "quit" & do shell script "rm -rf ~" \`
	require.NoError(t, s.Send(t.Context(), Note{Downloaded, "Model downloaded", nasty}))
	require.Equal(t, []string{"/usr/bin/osascript", "-e", "on run argv",
		"-e", "display notification (item 2 of argv) with title (item 3 of argv) subtitle (item 1 of argv)",
		"-e", "end run", "Model downloaded", nasty, "Samovar"}, ran)
	s.Run = func(context.Context, string, ...string) error { return errors.New("no osascript") }
	require.ErrorContains(t, s.Send(t.Context(), Note{}), "no osascript")
	require.NoError(t, s.Close())
}
