//go:build desktop

package window

import _ "embed"

// icon is that of the window, build/linux's.
//
//go:embed icon.png
var icon []byte
