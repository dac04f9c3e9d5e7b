package tray

import (
	"fmt"
	"strings"
	"time"
	"unicode"
)

const (
	// longest is how many characters an item may have: menus do not wrap.
	longest = 72
	// longestName is how many a model's name may have among other text.
	longestName = 40
	// longestTip is how many a tooltip may have.
	longestTip = 400

	// figure is a space as wide as a digit, so that numbers do not make the menu jump.
	figure = "\u2007"
)

// clean makes any text fit to be shown in one line of at most limit characters. What is
// not UTF-8 would end the process on macOS.
func clean(text string, limit int) string {
	text = strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r) && string(r) != figure:
			return ' '
		case unicode.IsControl(r), unicode.Is(unicode.Cf, r), unicode.Is(unicode.Co, r):
			return -1 // direction marks could make a name read as another one
		}
		return r
	}, strings.ToValidUTF8(text, "�"))
	text = strings.Trim(text, " ")
	for strings.Contains(text, "  ") {
		text = strings.ReplaceAll(text, "  ", " ")
	}
	runes := []rune(text)
	if len(runes) <= limit {
		return text
	}
	return strings.TrimRight(string(runes[:limit-1]), " ") + "…"
}

// wide pads a number with figure spaces.
func wide(width int, text string) string {
	return strings.Repeat(figure, max(width-len([]rune(text)), 0)) + text
}

// span writes a time in at most three digits, always as wide.
func span(d time.Duration) string {
	const seconds = figure + "s"
	switch {
	case d < 0:
		return span(0)
	case d < time.Second:
		return wide(3, fmt.Sprint(d.Milliseconds())) + " ms"
	case d < 9950*time.Millisecond:
		return wide(3, fmt.Sprintf("%.1f", d.Seconds())) + " " + seconds
	}
	return wide(3, fmt.Sprint(min(int64(d.Seconds()+0.5), 999))) + " " + seconds
}

// rate writes tokens a second, always as wide.
func rate(perSecond float64) string {
	if perSecond < 99.95 {
		return wide(5, fmt.Sprintf("%.1f", max(perSecond, 0)))
	}
	return wide(5, fmt.Sprint(int64(min(perSecond, 99999))))
}

// percent writes a part of one.
func percent(part float64) string {
	return wide(3, fmt.Sprint(int(min(max(part, 0), 1)*100))) + " %"
}

// plural counts things.
func plural(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprint(n, " ", many)
}
