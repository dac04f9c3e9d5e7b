package main

import (
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"
)

// A linker finds libraries as the system's dynamic linker would, inside one app.
type linker struct {
	plan   plan
	images map[string]image  // by path in the app
	links  map[string]string // path of a link → path of what it points to
	bad    []error
	seen   map[string]bool // images followed, each with the rpaths it was reached by
}

// verifyReferences follows what every executable and library asks for. Each is a
// beginning of its own, since llama.cpp's are opened by path.
func (p plan) verifyReferences(dir string) error {
	l := linker{plan: p, images: map[string]image{}, links: map[string]string{}, seen: map[string]bool{}}
	for _, e := range p.entries {
		switch e.kind {
		case link:
			l.links[e.path] = path.Join(path.Dir(e.path), e.target)
		case executable, library:
			img, err := p.system.readImage(path.Join(dir, e.path), e.kind)
			if err != nil {
				l.bad = append(l.bad, fmt.Errorf("%s: %w", e.path, err))
				continue
			}
			l.images[e.path] = img
			l.verifyAge(e.path, img)
		}
	}
	for _, e := range p.entries {
		if _, ok := l.images[e.path]; ok {
			l.follow(e.path, nil)
		}
	}
	return errors.Join(l.bad...)
}

// verifyAge compares an image's oldest macOS with what Info.plist promises.
func (l *linker) verifyAge(at string, img image) {
	if l.plan.system.goos != "darwin" {
		return
	}
	var promised [2]int
	if _, err := fmt.Sscanf(l.plan.minOS, "%d.%d", &promised[0], &promised[1]); err != nil {
		l.bad = append(l.bad, fmt.Errorf("LSMinimumSystemVersion %q: %w", l.plan.minOS, err))
	} else if img.minOS == [2]int{} {
		l.bad = append(l.bad, fmt.Errorf("%s: it does not say which macOS it is built for", at))
	} else if slices.Compare(img.minOS[:], promised[:]) > 0 {
		l.bad = append(l.bad, fmt.Errorf("%s: it needs macOS %d.%d, and Info.plist promises %s", at, img.minOS[0], img.minOS[1], l.plan.minOS))
	}
}

// follow checks what one image asks for. rpaths are those of the images that it
// was loaded by, which the linker on macOS searches after the image's own.
func (l *linker) follow(at string, rpaths []string) {
	img := l.images[at]
	var own []string
	for _, r := range img.rpaths {
		inside, ok := l.expand(r, at)
		if !ok {
			l.complain(at, "it searches %s, which is outside of the app", r)
			continue
		}
		own = append(own, inside)
	}
	if l.plan.system.goos == "darwin" {
		own = append(own, rpaths...)
	}
	key := at + "\x00" + strings.Join(own, "\x00")
	if l.seen[key] {
		return
	}
	l.seen[key] = true
	for _, need := range img.needs {
		found, problem := l.find(need, at, own)
		if problem != "" {
			l.complain(at, "it needs %s, %s", need, problem)
		} else if found != "" {
			l.follow(found, own)
		}
	}
}

func (l *linker) complain(at, format string, args ...any) {
	l.bad = append(l.bad, fmt.Errorf("%s: %s", at, fmt.Sprintf(format, args...)))
}

// expand turns a path that is meant from the image or the executable into one in
// the app.
func (l *linker) expand(name, at string) (string, bool) {
	for _, here := range []string{"@loader_path", "$ORIGIN"} {
		if rest, ok := strings.CutPrefix(name, here); ok {
			return inside(path.Join(path.Dir(at), rest))
		}
	}
	if rest, ok := strings.CutPrefix(name, "@executable_path"); ok && l.plan.system.goos == "darwin" {
		return inside(path.Join("Contents/MacOS", rest))
	}
	return "", false
}

func inside(name string) (string, bool) {
	return name, name != ".." && !strings.HasPrefix(name, "../")
}

// find returns the image that a reference leads to; none if it is the system's.
func (l *linker) find(need, at string, rpaths []string) (found, problem string) {
	var candidates []string
	base, byRpath := strings.CutPrefix(need, "@rpath/")
	switch mac := l.plan.system.goos == "darwin"; {
	case mac && (strings.HasPrefix(need, "/usr/lib/") || strings.HasPrefix(need, "/System/Library/")):
		return "", ""
	case mac && !byRpath:
		if one, ok := l.expand(need, at); ok {
			candidates = append(candidates, one)
		}
	case strings.Contains(base, "/") && !mac:
		return "", "by a path, where only a name is looked up on other machines"
	default:
		for _, r := range rpaths {
			candidates = append(candidates, path.Join(r, base))
		}
	}
	for _, c := range candidates {
		if target, ok := l.links[c]; ok {
			c = target
		}
		if _, ok := l.images[c]; ok {
			return c, ""
		}
	}
	if l.plan.system.goos == "linux" && !strings.HasPrefix(need, "libggml") && !strings.HasPrefix(need, "libllama") {
		return "", "" // the distribution's
	}
	return "", "which is neither in the app nor part of the system"
}
