package main

import (
	"bytes"
	"image"
	"image/draw"
	"image/png"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"testing"

	"github.com/jackmordaunt/icns/v3"
	"github.com/stretchr/testify/require"
)

const root = "../.."

func svg(t *testing.T) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(source)))
	require.NoError(t, err)
	return data
}

// What is committed is what the drawing makes; run `go run ./build/icons` if not.
// Pictures are compared by their pixels, since processors round differently and
// compressors change.
func TestCommittedPicturesAreOfThisMark(t *testing.T) {
	files, err := makeFiles(svg(t))
	require.NoError(t, err)
	total := 0
	for name, want := range files {
		have, err := os.ReadFile(filepath.Join(root, "build", filepath.FromSlash(name)))
		require.NoError(t, err)
		total += len(have)
		switch path.Ext(name) {
		case ".png":
			requireSamePicture(t, name, decodePNG(t, want), decodePNG(t, have))
		case ".icns":
			wants, haves := decodeICNS(t, want), decodeICNS(t, have)
			require.Len(t, haves, len(macSizes))
			for i := range wants {
				requireSamePicture(t, name, wants[i], haves[i])
			}
		default:
			require.Equal(t, string(want), string(have), name)
		}
	}
	require.Less(t, total, 300_000, "they are in the repository: keep them small")

	err = fs.WalkDir(os.DirFS(filepath.Join(root, "build", "linux", "icons")), ".", func(name string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			require.Contains(t, files, path.Join("linux/icons", name), "left over from an older generator")
		}
		return err
	})
	require.NoError(t, err)
}

func decodePNG(t *testing.T, data []byte) image.Image {
	t.Helper()
	img, err := png.Decode(bytes.NewReader(data))
	require.NoError(t, err)
	return img
}

func decodeICNS(t *testing.T, data []byte) []image.Image {
	t.Helper()
	images, err := icns.DecodeAll(bytes.NewReader(data))
	require.NoError(t, err)
	return images
}

func requireSamePicture(t *testing.T, name string, want, have image.Image) {
	t.Helper()
	require.Equal(t, want.Bounds(), have.Bounds(), name)
	worst := difference(want, have)
	require.LessOrEqual(t, worst, 3, name)
}

// difference is the greatest in any pixel's channel, of 255.
func difference(a, b image.Image) int {
	worst := 0
	pa, pb := pixels(a), pixels(b)
	for i := range pa {
		d := int(pa[i]) - int(pb[i])
		worst = max(worst, d, -d)
	}
	return worst
}

func pixels(img image.Image) []uint8 {
	flat := image.NewRGBA(img.Bounds())
	draw.Draw(flat, flat.Bounds(), img, img.Bounds().Min, draw.Src)
	return flat.Pix
}

// The comparison notices a line that is a tenth thicker, at every size.
func TestAnotherMarkIsNoticed(t *testing.T) {
	m, err := parseMark(svg(t))
	require.NoError(t, err)
	thicker := m
	thicker.width *= 1.1
	for _, px := range linuxSizes {
		require.Greater(t, difference(drawMark(m, px, 0, m.corner), drawMark(thicker, px, 0, m.corner)), 3)
	}
}

// Colours where the mark has them: ink on its lines, tile beside them, nothing
// outside of the corners.
func TestMarkIsDrawnWhereItIs(t *testing.T) {
	m, err := parseMark(svg(t))
	require.NoError(t, err)
	for _, margin := range []float64{0, macMargin} {
		const px = 512
		img := drawMark(m, px, margin, m.corner)
		at := func(x, y float64) any {
			scale := px * (1 - 2*margin) / m.size
			return img.At(int(x*scale+px*margin), int(y*scale+px*margin))
		}
		require.Equal(t, m.ink, at(8, 4), "the knob")
		require.Equal(t, m.ink, at(3.2, 6.6), "a handle")
		require.Equal(t, m.ink, at(8, 13), "the foot")
		require.Equal(t, m.tile, at(8, 8), "inside")
		require.Equal(t, m.tile, at(8, 1), "above")
		require.Zero(t, img.At(1, 1), "a corner")
	}
}

func TestUnknownDrawingsAreRefused(t *testing.T) {
	good := string(svg(t))
	for name, change := range map[string][2]string{
		"a curve":          {"M8 3v2", "M8 3c1 1 2 2 3 3"},
		"a circle":         {"</g>", `<circle r="1"/></g>`},
		"a filled shape":   {`<g fill="none"`, `<g fill="#000"`},
		"square ends":      {`linecap="round"`, `linecap="butt"`},
		"a named colour":   {"#2f5fd0", "blue"},
		"too few numbers":  {"M8 3v2", "M8v2"},
		"no beginning":     {"M4.7 5h6.6", "h6.6"},
		"a tile too small": {`<rect width="16"`, `<rect width="15"`},
		"another element":  {"</svg>", "<text>x</text></svg>"},
		"no XML":           {"<svg", "<<svg"},
	} {
		t.Run(name, func(t *testing.T) {
			require.Contains(t, good, change[0])
			_, err := parseMark([]byte(strings.Replace(good, change[0], change[1], 1)))
			require.Error(t, err)
		})
	}
}
