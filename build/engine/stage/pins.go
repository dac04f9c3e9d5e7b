package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// pins is what build/engine/package.json and its lock file fix.
type pins struct {
	Packages map[string]string // package name → exact version
	LlamaCpp string            // the llama.cpp release inside those packages
	Binding  string            // module@version of the Go binding that pairs with it
}

// readPins reads package.json in dir and checks that the lock file agrees and
// holds an integrity hash for every package.
func readPins(dir string) (pins, error) {
	var pkg struct {
		Dependencies map[string]string `json:"dependencies"`
		Engine       struct {
			LlamaCpp string `json:"llama.cpp"`
			Binding  string `json:"binding"`
		} `json:"engine"`
	}
	if err := readJSON(filepath.Join(dir, "package.json"), &pkg); err != nil {
		return pins{}, err
	}
	if pkg.Engine.LlamaCpp == "" || pkg.Engine.Binding == "" {
		return pins{}, fmt.Errorf("package.json has no engine.\"llama.cpp\" or engine.binding")
	}
	var lock struct {
		Packages map[string]struct {
			Version   string `json:"version"`
			Integrity string `json:"integrity"`
		} `json:"packages"`
	}
	if err := readJSON(filepath.Join(dir, "package-lock.json"), &lock); err != nil {
		return pins{}, err
	}
	for _, p := range platforms {
		name := scope + p.name
		want, locked := pkg.Dependencies[name], lock.Packages["node_modules/"+name]
		if want == "" {
			return pins{}, fmt.Errorf("package.json does not depend on %s", name)
		}
		if locked.Version != want {
			return pins{}, fmt.Errorf("package-lock.json has %s %q, package.json wants %q (exact versions only)", name, locked.Version, want)
		}
		if !strings.HasPrefix(locked.Integrity, "sha512-") {
			return pins{}, fmt.Errorf("package-lock.json has no sha512 integrity hash for %s", name)
		}
	}
	return pins{Packages: pkg.Dependencies, LlamaCpp: pkg.Engine.LlamaCpp, Binding: pkg.Engine.Binding}, nil
}

// openPackage checks that the installed package is the pinned one and contains
// the pinned llama.cpp release, and returns the folder of its libraries.
func openPackage(dir string, p platform, pin pins) (string, error) {
	root := filepath.Join(dir, "node_modules", filepath.FromSlash(scope+p.name))
	var pkg struct {
		Version string `json:"version"`
	}
	if err := readJSON(filepath.Join(root, "package.json"), &pkg); err != nil {
		if os.IsNotExist(err) {
			return "", fmt.Errorf("%s%s is not installed: run `make setup`", scope, p.name)
		}
		return "", err
	}
	if want := pin.Packages[scope+p.name]; pkg.Version != want {
		return "", fmt.Errorf("%s%s is installed as %s but %s is pinned: run `make setup`", scope, p.name, pkg.Version, want)
	}
	bins := filepath.Join(root, "bins", p.name)
	var built struct {
		BuildOptions struct {
			LlamaCpp struct {
				Release string `json:"release"`
			} `json:"llamaCpp"`
		} `json:"buildOptions"`
	}
	if err := readJSON(filepath.Join(bins, "_nlcBuildMetadata.json"), &built); err != nil {
		return "", err
	}
	if got := built.BuildOptions.LlamaCpp.Release; got != pin.LlamaCpp {
		return "", fmt.Errorf("%s%s %s holds llama.cpp %q, but %s is pinned in package.json", scope, p.name, pkg.Version, got, pin.LlamaCpp)
	}
	return bins, nil
}

// readJSON decodes a file. Its error names the file and satisfies
// os.IsNotExist when the file is missing.
func readJSON(path string, into any) error {
	data, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(data, into); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}
