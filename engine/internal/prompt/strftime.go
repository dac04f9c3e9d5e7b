package prompt

import (
	"strings"
	"time"
)

// strftime formats a time as Python does, with the codes that templates use.
func strftime(format string, t time.Time) string {
	return strings.NewReplacer(
		"%Y", t.Format("2006"), "%y", t.Format("06"), "%m", t.Format("01"), "%d", t.Format("02"),
		"%-d", t.Format("2"), "%-m", t.Format("1"), "%B", t.Format("January"), "%b", t.Format("Jan"),
		"%A", t.Format("Monday"), "%a", t.Format("Mon"), "%H", t.Format("15"), "%I", t.Format("03"),
		"%M", t.Format("04"), "%S", t.Format("05"), "%p", t.Format("PM"), "%Z", t.Format("MST"),
		"%j", t.Format("002"), "%F", t.Format("2006-01-02"), "%T", t.Format("15:04:05"), "%%", "%",
	).Replace(format)
}
