package main

import (
	"encoding/xml"
	"fmt"
	"image/color"
	"regexp"
	"strconv"
	"strings"
)

// A mark is the drawing: a tile, and lines on it. Units are the SVG's own.
type mark struct {
	size   float64 // of the square that it is drawn in
	corner float64 // radius of the tile's corners
	tile   color.NRGBA
	ink    color.NRGBA
	width  float64 // of the lines
	lines  [][]point
}

type point struct{ x, y float64 }

// parseMark reads the SVG, and refuses what it doesn't know.
func parseMark(svg []byte) (mark, error) {
	var doc struct {
		ViewBox string `xml:"viewBox,attr"`
		Rect    []struct {
			Width  float64 `xml:"width,attr"`
			Height float64 `xml:"height,attr"`
			RX     float64 `xml:"rx,attr"`
			Fill   string  `xml:"fill,attr"`
		} `xml:"rect"`
		Group []struct {
			Fill  string  `xml:"fill,attr"`
			Ink   string  `xml:"stroke,attr"`
			Width float64 `xml:"stroke-width,attr"`
			Cap   string  `xml:"stroke-linecap,attr"`
			Join  string  `xml:"stroke-linejoin,attr"`
			Path  []struct {
				D string `xml:"d,attr"`
			} `xml:"path"`
			Other []struct{} `xml:",any"`
		} `xml:"g"`
		Other []struct{} `xml:",any"`
	}
	if err := xml.Unmarshal(svg, &doc); err != nil {
		return mark{}, err
	}
	if len(doc.Rect) != 1 || len(doc.Group) != 1 || len(doc.Other)+len(doc.Group[0].Other) != 0 {
		return mark{}, fmt.Errorf("the mark is one rect and one g of paths, and nothing else")
	}
	rect, group := doc.Rect[0], doc.Group[0]
	if doc.ViewBox != fmt.Sprintf("0 0 %g %[1]g", rect.Width) || rect.Height != rect.Width {
		return mark{}, fmt.Errorf("the tile does not fill viewBox %q", doc.ViewBox)
	}
	if group.Fill != "none" || group.Cap != "round" || group.Join != "round" {
		return mark{}, fmt.Errorf("lines are drawn with round ends, and not filled")
	}
	m := mark{size: rect.Width, corner: rect.RX, width: group.Width}
	var err error
	if m.tile, err = parseColor(rect.Fill); err != nil {
		return mark{}, err
	}
	if m.ink, err = parseColor(group.Ink); err != nil {
		return mark{}, err
	}
	for _, path := range group.Path {
		lines, err := parsePath(path.D)
		if err != nil {
			return mark{}, err
		}
		m.lines = append(m.lines, lines...)
	}
	return m, nil
}

// parseColor reads #rgb and #rrggbb.
func parseColor(s string) (color.NRGBA, error) {
	hex := strings.TrimPrefix(s, "#")
	if len(hex) == 3 {
		hex = string([]byte{hex[0], hex[0], hex[1], hex[1], hex[2], hex[2]})
	}
	v, err := strconv.ParseUint(hex, 16, 32)
	if err != nil || len(hex) != 6 || hex == s {
		return color.NRGBA{}, fmt.Errorf("%q is no colour such as #2f5fd0", s)
	}
	return color.NRGBA{R: uint8(v >> 16), G: uint8(v >> 8), B: uint8(v), A: 255}, nil
}

var (
	pathForm    = regexp.MustCompile(`^(\s*[MLHVZmlhvz][-0-9.,\s]*)*$`)
	pathCommand = regexp.MustCompile(`([A-Za-z])([^A-Za-z]*)`)
	pathNumber  = regexp.MustCompile(`-?(\d+\.?\d*|\.\d+)`)
)

// parsePath turns a path of straight lines into polylines.
func parsePath(d string) ([][]point, error) {
	if !pathForm.MatchString(d) {
		return nil, fmt.Errorf("path %q is not of straight lines only", d)
	}
	var lines [][]point
	var at point
	for _, cmd := range pathCommand.FindAllStringSubmatch(d, -1) {
		var n []float64
		for _, s := range pathNumber.FindAllString(cmd[2], -1) {
			v, err := strconv.ParseFloat(s, 64)
			if err != nil {
				return nil, err
			}
			n = append(n, v)
		}
		from := at
		if strings.ToUpper(cmd[1]) == cmd[1] {
			from = point{}
		}
		kind := strings.ToUpper(cmd[1])
		want := map[string]int{"M": 2, "L": 2, "H": 1, "V": 1, "Z": 0}[kind]
		if len(n) != want || len(lines) == 0 && kind != "M" {
			return nil, fmt.Errorf("path %q: %q is out of place, or has not %d numbers", d, cmd[0], want)
		}
		switch kind {
		case "M", "L":
			at = point{from.x + n[0], from.y + n[1]}
		case "H":
			at.x = from.x + n[0]
		case "V":
			at.y = from.y + n[0]
		case "Z":
			at = lines[len(lines)-1][0]
		}
		if kind == "M" {
			lines = append(lines, nil)
		}
		lines[len(lines)-1] = append(lines[len(lines)-1], at)
	}
	return lines, nil
}
