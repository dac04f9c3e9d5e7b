package main

import (
	"bytes"
	"fmt"
	"image"
	"image/color"
	"image/draw"
	"image/png"
	"math"
	"os"
	"path/filepath"

	"golang.org/x/image/vector"
)

const (
	// px is the pictures' size: 16 points, twice as fine.
	px = 32
	// grid is the size of the mark's drawing.
	grid = 16
	// folder is where the pictures go, seen from the repository's root.
	folder = "app/tray/icons"
)

func main() {
	for name, data := range pictures() {
		if err := os.WriteFile(filepath.Join(folder, name), data, 0o644); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
}

var (
	blue  = color.NRGBA{0x2f, 0x5f, 0xd0, 0xff}
	grey  = color.NRGBA{0x6b, 0x72, 0x80, 0xff}
	red   = color.NRGBA{0xc8, 0x3a, 0x2e, 0xff}
	white = color.NRGBA{0xff, 0xff, 0xff, 0xff}
	black = color.NRGBA{0, 0, 0, 0xff}
)

// states are the pictures' names, their tiles and what is drawn beside the pot.
var states = []struct {
	name string
	tile color.Color
	draw func(c *canvas)
}{
	{"stopped", grey, func(c *canvas) { c.knob() }},
	{"starting", blue, func(c *canvas) { c.knob(); c.fill(0.5) }},
	{"ready", blue, func(c *canvas) { c.knob(); c.fill(1) }},
	{"busy", blue, func(c *canvas) { c.steam(); c.fill(1) }},
	{"attention", red, func(c *canvas) { c.knob(); c.exclaim() }},
}

// pictures are all files by name.
func pictures() map[string][]byte {
	files := map[string][]byte{}
	for _, s := range states {
		template := newCanvas(black, nil)
		template.pot()
		s.draw(template)
		files["template-"+s.name+".png"] = template.encode()
		coloured := newCanvas(white, s.tile)
		coloured.pot()
		s.draw(coloured)
		files["colour-"+s.name+".png"] = coloured.encode()
	}
	return files
}

type point struct{ x, y float32 }

// canvas draws the mark's parts in one colour.
type canvas struct {
	img   *image.NRGBA
	ink   color.Color
	scale float32
	shift float32
}

// newCanvas is transparent, or has a tile with round corners. Without one, the mark may
// be as large as the picture.
func newCanvas(ink, tile color.Color) *canvas {
	c := &canvas{img: image.NewNRGBA(image.Rect(0, 0, px, px)), ink: tile, scale: px / grid}
	if tile != nil {
		const side, r = grid - 1, 3
		c.polygon(point{r, 0.5}, point{side - r + 0.5, 0.5}, point{side + 0.5, r}, point{side + 0.5, side - r + 0.5}, point{side - r + 0.5, side + 0.5}, point{r, side + 0.5}, point{0.5, side - r + 0.5}, point{0.5, r})
		for _, at := range []point{{r, r}, {grid - r, r}, {r, grid - r}, {grid - r, grid - r}} {
			c.disc(at, r-0.5)
		}
	} else {
		// The mark reaches from 2.3 to 13.7: make it fill the picture.
		c.scale, c.shift = px/grid*1.25, -px*0.125
	}
	c.ink = ink
	return c
}

// width is that of the mark's strokes.
const width = 1.3

// pot is what all states have: the body, the handles and the foot.
func (c *canvas) pot() {
	c.line(point{4.7, 5}, point{11.3, 5}, point{10.5, 11.2}, point{5.5, 11.2}, point{4.7, 5})
	c.line(point{6, 13}, point{10, 13})
	c.line(point{3, 6.6}, point{4.9, 6.6})
	c.line(point{11.1, 6.6}, point{13, 6.6})
}

func (c *canvas) knob() {
	c.line(point{6.6, 3}, point{9.4, 3})
	c.line(point{8, 3}, point{8, 5})
}

func (c *canvas) steam() {
	for _, x := range []float32{6.2, 9.2} {
		c.line(point{x, 3.4}, point{x + 0.6, 2.7}, point{x, 2}, point{x + 0.6, 1.3})
	}
}

// fill fills the pot up to a part of its height.
func (c *canvas) fill(part float32) {
	const top, bottom = 5, 11.2
	y := bottom - (bottom-top)*part
	inset := 0.8 * (y - top) / (bottom - top)
	c.polygon(point{4.7 + inset, y}, point{11.3 - inset, y}, point{10.5, bottom}, point{5.5, bottom})
}

func (c *canvas) exclaim() {
	c.line(point{8, 6.8}, point{8, 8.4})
	c.disc(point{8, 9.8}, width/2)
}

func (c *canvas) line(at ...point) {
	for i, p := range at {
		c.disc(p, width/2)
		if i > 0 {
			c.stroke(at[i-1], p)
		}
	}
}

// stroke draws an upright or slanting box around the way between two points.
func (c *canvas) stroke(from, to point) {
	dx, dy := to.x-from.x, to.y-from.y
	length := float32(math.Hypot(float64(dx), float64(dy)))
	nx, ny := dy/length*width/2, -dx/length*width/2
	c.polygon(point{from.x + nx, from.y + ny}, point{to.x + nx, to.y + ny}, point{to.x - nx, to.y - ny}, point{from.x - nx, from.y - ny})
}

// disc draws a circle as the four curves that are one but for a thousandth.
func (c *canvas) disc(at point, r float32) {
	const k = 0.5523
	var v vector.Rasterizer
	v.Reset(px, px)
	p := func(x, y float32) (float32, float32) { return c.at(point{at.x + x*r, at.y + y*r}) }
	cube := func(x1, y1, x2, y2, x3, y3 float32) {
		ax, ay := p(x1, y1)
		bx, by := p(x2, y2)
		cx, cy := p(x3, y3)
		v.CubeTo(ax, ay, bx, by, cx, cy)
	}
	v.MoveTo(p(1, 0))
	cube(1, k, k, 1, 0, 1)
	cube(-k, 1, -1, k, -1, 0)
	cube(-1, -k, -k, -1, 0, -1)
	cube(k, -1, 1, -k, 1, 0)
	v.ClosePath()
	c.put(&v)
}

func (c *canvas) polygon(at ...point) {
	var v vector.Rasterizer
	v.Reset(px, px)
	for i, p := range at {
		if i == 0 {
			v.MoveTo(c.at(p))
		} else {
			v.LineTo(c.at(p))
		}
	}
	v.ClosePath()
	c.put(&v)
}

func (c *canvas) at(p point) (x, y float32) { return p.x*c.scale + c.shift, p.y*c.scale + c.shift }

// put draws a shape over what is there.
func (c *canvas) put(v *vector.Rasterizer) {
	mask := image.NewAlpha(c.img.Bounds())
	v.Draw(mask, mask.Bounds(), image.Opaque, image.Point{})
	draw.DrawMask(c.img, c.img.Bounds(), image.NewUniform(c.ink), image.Point{}, mask, image.Point{}, draw.Over)
}

func (c *canvas) encode() []byte {
	var out bytes.Buffer
	encoder := png.Encoder{CompressionLevel: png.BestCompression}
	if err := encoder.Encode(&out, c.img); err != nil { // memory does not fail
		panic(err)
	}
	return out.Bytes()
}
