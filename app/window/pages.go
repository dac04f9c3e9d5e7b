package window

import (
	"regexp"
	"slices"
	"strings"
)

// Pages are the dashboard's, in the order of its rail; frontend/src/App.svelte has them
// all. The first nine have shortcuts.
var Pages = []struct{ ID, Title string }{
	{"overview", "Overview"}, {"pool", "Pool"}, {"agents", "Agents"}, {"savings", "Savings"}, {"models", "Models"},
	{"connect", "Connect"}, {"try", "Try it"}, {"settings", "Settings"}, {"logs", "Logs"}, {"doctor", "Doctor"},
}

// welcome is shown once, and has no place in the rail.
const welcome = "welcome"

// rest is what may follow a page's name: /agents/some%2Fagent, /models?pull=owner/repo.
var rest = regexp.MustCompile(`^[/?][A-Za-z0-9/?=&%+~@:._-]{0,500}$`)

// ValidPage says whether a path, such as /agents/one, is one of the dashboard's pages.
func ValidPage(path string) bool {
	name, ok := strings.CutPrefix(path, "/")
	if !ok {
		return false
	}
	if end := strings.IndexAny(name, "/?"); end >= 0 {
		if !rest.MatchString(name[end:]) {
			return false
		}
		name = name[:end]
	}
	return name == welcome || slices.ContainsFunc(Pages, func(p struct{ ID, Title string }) bool { return p.ID == name })
}
