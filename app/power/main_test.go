package power

import (
	"io"
	"os"
	"testing"

	"go.uber.org/goleak"
)

// play makes the test binary a server that is busy, until its input ends.
const play = "SAMOVAR_TEST_PLAY_BUSY"

func TestMain(m *testing.M) {
	if os.Getenv(play) == "" {
		goleak.VerifyTestMain(m)
		return
	}
	a := OpenAwake(AwakeOptions{OnProblem: func(err error) { os.Stderr.WriteString(err.Error() + "\n") }})
	a.Keep(true)
	_, _ = io.Copy(io.Discard, os.Stdin)
	a.Close()
}
