package arch

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// A rule forbids packages (from) to import others (to).
type rule struct {
	name string
	why  string
	from func(path string) bool
	to   func(path string) bool
	// through: also by way of our other packages, which only their own rules
	// would otherwise stop.
	through bool
	// codeOnly leaves test files out.
	codeOnly bool
}

var rules = []rule{
	{
		name: "nothing imports app",
		why:  "app is the composition root: it knows everything, so whoever imports it knows everything too",
		from: not(anyOf(is("."), under("app"), under("tests"))),
		to:   under("app"),
	},
	{
		name: "tests know of app only its load generator",
		why:  "they look at the product from outside; what loads it for `samovar bench` loads it for them, too",
		from: under("tests"),
		to:   both(under("app"), not(under("app/bench"))),
	},
	{
		name: "server knows of the engine only its vocabulary",
		why:  "the same server serves a remote engine later; it declares the Engine interface it needs in terms of engine/infer",
		from: under("server"),
		to:   both(under("engine"), not(is("engine/infer"))),
	},
	{
		name: "engine/infer imports nothing of ours",
		why:  "both sides speak it; anything it imported would be imposed on both",
		from: under("engine/infer"),
		to:   ours,
	},
	{
		name: "the engine does not know its callers",
		why:  "requests go down and events come up through engine/infer; wire formats and HTTP stay in server",
		from: under("engine"),
		to:   under("server"),
	},
	{
		name:    "sched does not know kv or llama",
		why:     "a plan is a pure function of the state it is given; worker joins it with the pool and the library",
		from:    under("engine/internal/sched"),
		to:      anyOf(under("engine/internal/kv"), under("engine/internal/llama")),
		through: true,
	},
	{
		name:    "kv does not know sched or llama",
		why:     "the index accounts cells and files; it moves no bytes of the library and takes no turn",
		from:    under("engine/internal/kv"),
		to:      anyOf(under("engine/internal/sched"), under("engine/internal/llama")),
		through: true,
	},
	{
		name:    "llama does not know sched or kv",
		why:     "it guards the library's preconditions and nothing else",
		from:    under("engine/internal/llama"),
		to:      anyOf(under("engine/internal/sched"), under("engine/internal/kv")),
		through: true,
	},
	{
		name: "only llama touches the binding",
		why:  "every native call has fatal preconditions; one package checks them all",
		from: not(under("engine/internal/llama")),
		to:   nativeLibrary,
	},
	{
		name: "GUI libraries stay in app/tray and app/window",
		why:  "everything else is pure Go, runs without a display and cross-compiles",
		from: not(anyOf(under("app/tray"), under("app/window"))),
		to:   guiLibrary,
	},
	{
		name: "nothing imports tests",
		why:  "tests look at the product from outside; the product knows nothing of them",
		from: not(under("tests")),
		to:   under("tests"),
	},
	{
		name:     "the staging program needs the standard library only",
		why:      "make setup runs it on a machine that has nothing yet",
		from:     under("build/engine/stage"),
		to:       not(standard),
		codeOnly: true,
	},
}

func TestImports(t *testing.T) {
	ours := mustTree(t)
	for _, r := range rules {
		t.Run(r.name, func(t *testing.T) {
			for _, bad := range r.violations(ours) {
				t.Errorf("%s\n\twhy not: %s", bad, r.why)
			}
		})
	}
}

// violations lists the forbidden imports, each as a chain.
func (r rule) violations(in tree) []string {
	var bad []string
	for _, at := range slices.Sorted(maps.Keys(in)) {
		if !r.from(at) {
			continue
		}
		if r.through {
			if chain := reach(in, at, r.to); chain != nil {
				bad = append(bad, strings.Join(chain, " → "))
				continue
			}
		}
		for _, imported := range in[at].imports(!r.codeOnly) {
			if r.to(imported) {
				bad = append(bad, at+" → "+imported)
			}
		}
	}
	return bad
}

// reach finds the shortest chain of imports, tests' left out, from a package to
// one that matches.
func reach(in tree, from string, to func(string) bool) []string {
	chains := [][]string{{from}}
	seen := map[string]bool{from: true}
	for len(chains) > 0 {
		chain := chains[0]
		chains = chains[1:]
		p := in[chain[len(chain)-1]]
		if p == nil {
			continue // of another module
		}
		for _, next := range p.imports(false) {
			if seen[next] {
				continue
			}
			seen[next] = true
			longer := append(slices.Clone(chain), next)
			if to(next) {
				return longer
			}
			chains = append(chains, longer)
		}
	}
	return nil
}

func is(path string) func(string) bool {
	return func(p string) bool { return p == path }
}

// under matches a package and everything below it.
func under(path string) func(string) bool {
	return func(p string) bool { return p == path || strings.HasPrefix(p, path+"/") }
}

func not(match func(string) bool) func(string) bool {
	return func(p string) bool { return !match(p) }
}

func both(a, b func(string) bool) func(string) bool {
	return func(p string) bool { return a(p) && b(p) }
}

func anyOf(matches ...func(string) bool) func(string) bool {
	return func(p string) bool {
		return slices.ContainsFunc(matches, func(m func(string) bool) bool { return m(p) })
	}
}

// standard says whether an import is of the standard library. Paths of ours
// begin with one of the module's folders.
func standard(path string) bool {
	first, _, _ := strings.Cut(path, "/")
	return !strings.Contains(first, ".") && !ours(path)
}

func ours(path string) bool {
	return anyOf(is("."), under("app"), under("server"), under("engine"), under("build"), under("tests"), under("frontend"))(path)
}

var nativeLibrary = anyOf(
	under("github.com/hybridgroup/yzma"),
	under("github.com/jupiterrider/ffi"),
	under("github.com/ebitengine/purego"),
)

var guiLibrary = anyOf(
	under("fyne.io"),
	under("github.com/wailsapp"),
	under("github.com/getlantern/systray"),
	under("github.com/energye/systray"),
	under("github.com/webview"),
	under("github.com/progrium"),
	under("gioui.org"),
)

// made builds a module from "package: imports" lines; "package test: imports"
// are a test file's.
func made(lines ...string) tree {
	out := tree{}
	for _, line := range lines {
		at, imports, _ := strings.Cut(line, ":")
		at, kind, _ := strings.Cut(at, " ")
		if out[at] == nil {
			out[at] = &pkg{path: at}
		}
		out[at].files = append(out[at].files, file{
			name: fmt.Sprintf("f%d.go", len(out[at].files)), test: kind == "test", imports: strings.Fields(imports),
		})
	}
	return out
}

// Every rule is shown a module that breaks it and one that only comes near.
func TestImportRulesCatchViolations(t *testing.T) {
	proofs := map[string]struct{ bad, good []tree }{
		"nothing imports app": {
			bad:  []tree{made("server: app"), made("engine: app/config"), made("server test: app/bench")},
			good: []tree{made(".: app", "app: app/config", "app test: app/paths", "server: application/x")},
		},
		"tests know of app only its load generator": {
			bad:  []tree{made("tests/e2e test: app"), made("tests/samovartest: app/config")},
			good: []tree{made("tests/stress test: app/bench/stress")},
		},
		"server knows of the engine only its vocabulary": {
			bad:  []tree{made("server: engine"), made("server/openai: engine/internal/wire"), made("server/control test: engine/models")},
			good: []tree{made("server: engine/infer", "server/openai: engine/infer server/sse", "app: engine")},
		},
		"engine/infer imports nothing of ours": {
			bad:  []tree{made("engine/infer: engine"), made("engine/infer: server/sse"), made("engine/infer test: engine/internal/wire")},
			good: []tree{made("engine/infer: time errors", "engine/infer test: engine/infer github.com/stretchr/testify/require", "engine/inference: engine")},
		},
		"the engine does not know its callers": {
			bad:  []tree{made("engine: server"), made("engine/internal/wire: server/sse")},
			good: []tree{made("engine: engine/infer net/http")},
		},
		"sched does not know kv or llama": {
			bad: []tree{
				made("engine/internal/sched: engine/internal/kv"), made("engine/internal/sched test: engine/internal/llama/llamatest"),
				made("engine/internal/sched: engine/infer", "engine/infer: engine/internal/vfs", "engine/internal/vfs: engine/internal/llama"),
			},
			good: []tree{made("engine/internal/sched: engine/infer", "engine/worker: engine/internal/sched engine/internal/kv engine/internal/llama")},
		},
		"kv does not know sched or llama": {
			bad: []tree{
				made("engine/internal/kv: engine/internal/sched"), made("engine/internal/kv/blockfile: engine/internal/llama"),
				made("engine/internal/kv: engine/internal/vfs", "engine/internal/vfs: engine/internal/sched"),
			},
			good: []tree{made("engine/internal/kv: engine/internal/kv/blockfile engine/internal/vfs")},
		},
		"llama does not know sched or kv": {
			bad: []tree{
				made("engine/internal/llama: engine/internal/sched"), made("engine/internal/llama/llamatest: engine/internal/kv/blockfile"),
				made("engine/internal/llama: engine/models/gguf", "engine/models/gguf: engine/internal/kv"),
			},
			good: []tree{made("engine/internal/llama: github.com/hybridgroup/yzma/pkg/llama", "engine/internal/llamaindex: engine/internal/kv")},
		},
		"only llama touches the binding": {
			bad: []tree{
				made("engine/worker: github.com/hybridgroup/yzma/pkg/llama"), made("engine/internal/prompt: github.com/hybridgroup/yzma/pkg/template"),
				made("app: github.com/jupiterrider/ffi"), made("app/power: github.com/ebitengine/purego"), made("tests/e2e test: github.com/hybridgroup/yzma"),
			},
			good: []tree{made("engine/internal/llama: github.com/hybridgroup/yzma/pkg/llama github.com/jupiterrider/ffi", "engine/internal/llama/llamatest: engine/internal/llama")},
		},
		"GUI libraries stay in app/tray and app/window": {
			bad:  []tree{made("app: fyne.io/systray"), made("server: github.com/wailsapp/wails/v2/pkg/runtime"), made(".: github.com/wailsapp/wails/v2")},
			good: []tree{made("app/tray: fyne.io/systray", "app/window: github.com/wailsapp/wails/v2", "app: app/tray")},
		},
		"nothing imports tests": {
			bad:  []tree{made("engine: tests/fixtures"), made("server test: tests/clients")},
			good: []tree{made("tests/e2e test: tests/fixtures")},
		},
		"the staging program needs the standard library only": {
			bad:  []tree{made("build/engine/stage: github.com/x/y"), made("build/engine/stage: engine/infer"), made("build/engine/stage: golang.org/x/sys/unix")},
			good: []tree{made("build/engine/stage: debug/elf os", "build/engine/stage test: github.com/stretchr/testify/require")},
		},
	}
	for _, r := range rules {
		t.Run(r.name, func(t *testing.T) {
			proof, ok := proofs[r.name]
			require.True(t, ok && len(proof.bad) > 0 && len(proof.good) > 0, "a rule without proof that it catches anything")
			for _, in := range proof.bad {
				require.NotEmpty(t, r.violations(in), "%v", in)
			}
			for _, in := range proof.good {
				require.Empty(t, r.violations(in))
			}
		})
	}
	require.Len(t, proofs, len(rules))
}

// A rule about a package that was renamed away would hold for ever.
func TestImportRulesHaveSubjects(t *testing.T) {
	have := mustTree(t)
	for _, subject := range []string{"app", "server", "engine", "engine/infer", "engine/internal/sched", "engine/internal/llama", "engine/worker", "engine/samovar-engine", "build/engine/stage"} {
		require.Contains(t, have, subject, "DESIGN.md names this package; if it moved, move the rules with it")
	}
	for at := range have {
		require.True(t, ours(at), "%s is in a folder that `ours` does not know", at)
	}
}
