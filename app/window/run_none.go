//go:build !desktop

package window

import "context"

// Supported says whether this build has a window.
const Supported = false

// Run says that this build has none.
func Run(context.Context, Options) error { return ErrNoWindow }
