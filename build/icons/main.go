package main

import (
	"bytes"
	"fmt"
	"image"
	"image/png"
	"os"
	"path/filepath"

	"github.com/jackmordaunt/icns/v3"
)

// source is the drawing, seen from the repository's root.
const source = "frontend/public/icon.svg"

// macOS draws its own shadow and expects a tile of 824 in a square of 1024, with
// corners of 185.4 (Apple's template since macOS 11); what is shaped otherwise is
// put on a grey tile by later releases.
const (
	macMargin = 100.0 / 1024
	macCorner = 185.4 / 824
)

// macSizes are the pictures of an .icns by their types: 16 to 512 points, for
// one pixel a point and two. The small ones exist for two only: others are made
// of them, as other programs' icons have it, too.
var macSizes = []icns.OsType{
	{ID: "ic10", Size: 1024}, {ID: "ic14", Size: 512}, {ID: "ic09", Size: 512}, {ID: "ic13", Size: 256},
	{ID: "ic08", Size: 256}, {ID: "ic07", Size: 128}, {ID: "ic12", Size: 64}, {ID: "ic11", Size: 32},
}

// linuxSizes are those that the icon theme specification's users look for.
var linuxSizes = []int{16, 24, 32, 48, 64, 128, 256, 512}

func main() {
	if err := run("."); err != nil {
		fmt.Fprintln(os.Stderr, "icons:", err)
		os.Exit(1)
	}
}

func run(root string) error {
	svg, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(source)))
	if err != nil {
		return err
	}
	files, err := makeFiles(svg)
	if err != nil {
		return fmt.Errorf("%s: %w", source, err)
	}
	for name, data := range files {
		name = filepath.Join(root, "build", filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(name, data, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// makeFiles makes all pictures, by their paths below build/.
func makeFiles(svg []byte) (map[string][]byte, error) {
	m, err := parseMark(svg)
	if err != nil {
		return nil, err
	}
	mac := func(px uint) image.Image { return drawMark(m, int(px), macMargin, macCorner*m.size) }
	files := map[string][]byte{"linux/icons/hicolor/scalable/apps/samovar.svg": svg}
	if files["appicon.png"], err = encode(mac(1024)); err != nil {
		return nil, err
	}
	set := &icns.IconSet{}
	for _, size := range macSizes {
		set.Icons = append(set.Icons, &icns.Icon{Type: size, Image: mac(size.Size)})
	}
	var packed bytes.Buffer
	if _, err := set.WriteTo(&packed); err != nil {
		return nil, err
	}
	files["darwin/Samovar.icns"] = packed.Bytes()
	for _, px := range linuxSizes {
		name := fmt.Sprintf("linux/icons/hicolor/%dx%[1]d/apps/samovar.png", px)
		if files[name], err = encode(drawMark(m, px, 0, m.corner)); err != nil {
			return nil, err
		}
	}
	return files, nil
}

func encode(img image.Image) ([]byte, error) {
	var out bytes.Buffer
	enc := png.Encoder{CompressionLevel: png.BestCompression}
	err := enc.Encode(&out, img)
	return out.Bytes(), err
}
