package main

import (
	"fmt"
	"runtime"
	"slices"
	"strings"
)

// scope is the npm scope of the packages; a platform's name completes it.
const scope = "@node-llama-cpp/"

// A platform is one of the sets of libraries that Samovar ships.
type platform struct {
	name    string // as in the npm package and in staged/
	goos    string
	goarch  string
	variant string // what stands before the version in the two main libraries' names
	ext     string // of those two and of libggml-base; backends are always .so
}

var platforms = []platform{
	{name: "linux-x64", goos: "linux", goarch: "amd64", ext: ".so"},
	{name: "linux-arm64", goos: "linux", goarch: "arm64", ext: ".so"},
	{name: "mac-arm64-metal", goos: "darwin", goarch: "arm64", variant: ".metal", ext: ".dylib"},
	{name: "mac-x64", goos: "darwin", goarch: "amd64", ext: ".dylib"},
}

// versioned is the file name of a main library ("ggml", "llama") in the package.
func (p platform) versioned(lib, release string) string {
	return "lib" + lib + p.variant + "." + release + p.ext
}

// short is the name under which the binding's loader opens a library.
func (p platform) short(lib string) string { return "lib" + lib + p.ext }

// wanted says whether a file of the package belongs among the staged
// libraries: the two main ones, libggml-base and every backend.
func (p platform) wanted(file, release string) bool {
	switch file {
	case p.versioned("llama", release), p.versioned("ggml", release), p.short("ggml-base"):
		return true
	}
	return strings.HasPrefix(file, "libggml-") && strings.HasSuffix(file, ".so")
}

// selectPlatforms turns command-line words into platforms: names, "host", "all".
func selectPlatforms(words []string) ([]platform, error) {
	if len(words) == 0 {
		words = []string{"all"}
	}
	var picked []platform
	for _, word := range words {
		if word == "all" {
			return platforms, nil
		}
		i := slices.IndexFunc(platforms, func(p platform) bool {
			if word == "host" {
				return p.goos == runtime.GOOS && p.goarch == runtime.GOARCH
			}
			return p.name == word
		})
		if i < 0 && word == "host" {
			return nil, fmt.Errorf("there are no engine libraries for %s/%s; there are for %s", runtime.GOOS, runtime.GOARCH, platformNames())
		}
		if i < 0 {
			return nil, fmt.Errorf("unknown platform %q; known: %s, host, all", word, platformNames())
		}
		picked = append(picked, platforms[i])
	}
	return picked, nil
}

func platformNames() string {
	names := make([]string, len(platforms))
	for i, p := range platforms {
		names[i] = p.name
	}
	return strings.Join(names, ", ")
}
