package e2e

import (
	"testing"

	"samovar/tests/samovartest"
)

// built is where TestMain put the executables.
var built samovartest.Built

func TestMain(m *testing.M) { samovartest.Main(m, &built) }
