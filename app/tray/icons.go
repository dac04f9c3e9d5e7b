package tray

import "embed"

// pictures are what `go run ./app/tray/icons` draws.
//
//go:embed icons/*.png
var pictures embed.FS

// picture returns the PNG of a state: the black one that macOS colours itself, or the one
// that is shown as it is.
func picture(i Icon, template bool) []byte {
	set := "colour"
	if template {
		set = "template"
	}
	data, err := pictures.ReadFile("icons/" + set + "-" + string(i) + ".png")
	if err != nil { // the names are constants, and tested
		panic(err)
	}
	return data
}
