package main

import (
	"bytes"
	"image"
	"image/png"
	"os"
	"testing"

	"github.com/stretchr/testify/require"
)

func decode(t *testing.T, data []byte) *image.NRGBA {
	t.Helper()
	img, err := png.Decode(bytes.NewReader(data))
	require.NoError(t, err)
	require.Equal(t, image.Rect(0, 0, px, px), img.Bounds())
	require.IsType(t, &image.NRGBA{}, img)
	return img.(*image.NRGBA)
}

// Compared by their pixels: processors round differently, and compressors change.
func TestCommittedPicturesAreTheDrawnOnes(t *testing.T) {
	drawn := pictures()
	require.Len(t, drawn, 2*len(states))
	for name, data := range drawn {
		have, err := os.ReadFile(name)
		require.NoError(t, err)
		a, b := decode(t, data), decode(t, have)
		for i := range a.Pix {
			require.InDelta(t, a.Pix[i], b.Pix[i], 3, name)
		}
	}
}

// Who cannot tell colours apart must still be able to tell the states apart.
func TestStatesDifferByShape(t *testing.T) {
	drawn := pictures()
	for i, a := range states {
		for _, b := range states[:i] {
			one, other := decode(t, drawn["template-"+a.name+".png"]), decode(t, drawn["template-"+b.name+".png"])
			different := 0
			for p := 3; p < len(one.Pix); p += 4 {
				if d := int(one.Pix[p]) - int(other.Pix[p]); d > 128 || d < -128 {
					different++
				}
			}
			require.Greater(t, different, 20, "%s and %s are the same but for a few pixels", a.name, b.name)
		}
	}
}

func TestTemplatesAreBlackAndTransparent(t *testing.T) {
	for name, data := range pictures() {
		img := decode(t, data)
		clear, ink := 0, 0
		for p := 0; p < len(img.Pix); p += 4 {
			switch img.Pix[p+3] {
			case 0:
				clear++
			case 255:
				ink++
			}
			if name[0] == 't' && img.Pix[p+3] > 0 {
				require.Zero(t, img.Pix[p]|img.Pix[p+1]|img.Pix[p+2], "%s is not black", name)
			}
		}
		require.Positive(t, clear, name)
		require.Greater(t, ink, 100, name)
	}
}
