package window

// background is the page's own, --bg in frontend/src/app.css: what is seen before the page
// is, and where it doesn't reach.
func background(dark bool) [3]uint8 {
	if dark {
		return [3]uint8{0x12, 0x14, 0x17}
	}
	return [3]uint8{0xf4, 0xf5, 0xf7}
}
