package window

import (
	"os"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	if role := os.Getenv(fakeRole); role != "" {
		os.Exit(playWindow(role))
	}
	goleak.VerifyTestMain(m)
}
