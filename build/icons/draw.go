package main

import (
	"image"
	"image/draw"
	"math"

	"golang.org/x/image/vector"
)

// A canvas draws shapes given in the mark's units into a square of pixels.
// Overlapping outlines of one turning direction join: that is how a line is made
// of a box for each piece and a disc for each end.
type canvas struct {
	vector.Rasterizer
	scale, margin float64
}

// drawMark draws the mark px pixels wide, with margin as a share of that on each
// side, and corners of the given radius, in the mark's units.
func drawMark(m mark, px int, margin, corner float64) image.Image {
	img := image.NewNRGBA(image.Rect(0, 0, px, px))
	c := &canvas{scale: float64(px) * (1 - 2*margin) / m.size, margin: float64(px) * margin}
	fill := func(with image.Image) {
		c.Draw(img, img.Bounds(), with, image.Point{})
		c.Reset(px, px)
	}
	c.Reset(px, px)
	c.roundRect(point{0, 0}, point{m.size, m.size}, corner)
	fill(image.NewUniform(m.tile))
	for _, line := range m.lines {
		for i, at := range line {
			c.roundRect(point{at.x - m.width/2, at.y - m.width/2}, point{at.x + m.width/2, at.y + m.width/2}, m.width/2)
			if i > 0 {
				c.box(line[i-1], at, m.width/2)
			}
		}
	}
	c.DrawOp = draw.Over
	fill(image.NewUniform(m.ink))
	return img
}

func (c *canvas) px(p point) (x, y float32) {
	return float32(p.x*c.scale + c.margin), float32(p.y*c.scale + c.margin)
}

func (c *canvas) moveTo(p point) { c.MoveTo(c.px(p)) }
func (c *canvas) lineTo(p point) { c.LineTo(c.px(p)) }

// arcSteps is how many straight pieces a quarter circle is drawn with: the
// rasteriser's own curves are coarse enough to be seen at 1024 px.
const arcSteps = 48

// roundRect is a disc if the radius is half its side.
func (c *canvas) roundRect(from, to point, r float64) {
	corners := []point{{to.x - r, from.y + r}, {to.x - r, to.y - r}, {from.x + r, to.y - r}, {from.x + r, from.y + r}}
	c.moveTo(point{from.x + r, from.y})
	for quarter, centre := range corners {
		for step := range arcSteps + 1 {
			sin, cos := math.Sincos(math.Pi / 2 * (float64(quarter-1) + float64(step)/arcSteps))
			c.lineTo(point{centre.x + r*cos, centre.y + r*sin})
		}
	}
	c.ClosePath()
}

// box is the piece of a line between two points, half wide to each side. It
// turns as roundRect does.
func (c *canvas) box(from, to point, half float64) {
	length := math.Hypot(to.x-from.x, to.y-from.y)
	if length == 0 {
		return
	}
	nx, ny := (to.y-from.y)/length*half, (from.x-to.x)/length*half
	c.moveTo(point{from.x + nx, from.y + ny})
	c.lineTo(point{to.x + nx, to.y + ny})
	c.lineTo(point{to.x - nx, to.y - ny})
	c.lineTo(point{from.x - nx, from.y - ny})
	c.ClosePath()
}
