package app

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"samovar/app/config"
	"samovar/app/paths"
	"samovar/engine"
	"samovar/engine/models/guide"
	"samovar/engine/models/shape"
)

// chooseModel names the model that the settings ask for. It checks what can be
// checked at once, so that a wrong name or path fails before anything starts.
// The file may have to be made first, which takes from milliseconds (guide) to
// a minute (big shapes): the engine does that in the background. Without a library, no
// model is known by its name.
func chooseModel(ctx context.Context, s config.Settings, p paths.Paths, l *library) (engine.ModelFile, error) {
	switch {
	case s.Shape != "":
		return chooseShape(s.Shape, p)
	case config.ModelIsPath(s.Model):
		return chooseFile(s.Model)
	case s.Model != guide.Name:
		if _, err := os.Stat(s.Model); err == nil { // whatever it is called
			return chooseFile(s.Model)
		}
		if l == nil {
			return engine.ModelFile{}, usageError{fmt.Errorf("the model %q is not known here", s.Model)}
		}
		return l.choose(ctx, s.Model)
	default:
		return engine.ModelFile{
			ID:      s.Model,
			Prepare: func(context.Context, func(float64)) (string, error) { return installGuide(p) },
		}, nil
	}
}

// tune fills in what the settings leave open and the model decides. The guide
// is so small that a second thread gains nothing, and on a busy machine the
// threads' spinning for each other costs it nearly everything: measured on two
// cores under load, 1,400 tokens a second with one thread and 3 with two.
func tune(s config.Settings) config.Settings {
	if s.Model == guide.Name && s.Threads == 0 {
		s.Threads = 1
	}
	return s
}

func installGuide(p paths.Paths) (string, error) {
	dir, err := p.Models()
	if err != nil {
		return "", err
	}
	return guide.Install(dir)
}

func chooseShape(name string, p paths.Paths) (engine.ModelFile, error) {
	if !slices.Contains(shape.Names(), name) {
		return engine.ModelFile{}, usageError{fmt.Errorf("there is no shape %q; there are: %s", name, strings.Join(shape.Names(), ", "))}
	}
	return engine.ModelFile{
		ID:      "shape-" + name,
		Aliases: []string{name},
		Prepare: func(ctx context.Context, progress func(float64)) (string, error) {
			dir, err := p.Shapes()
			if err != nil {
				return "", err
			}
			return shape.Ensure(ctx, dir, name, func(done, total int64) { progress(float64(done) / float64(max(total, 1))) })
		},
	}, nil
}

func chooseFile(path string) (engine.ModelFile, error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return engine.ModelFile{}, usageError{err}
	}
	info, err := os.Stat(abs)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return engine.ModelFile{}, usageError{fmt.Errorf("there is no model file %s; --model takes \"guide\" or the path of a .gguf file", abs)}
	case err != nil:
		return engine.ModelFile{}, usageError{fmt.Errorf("cannot use the model file: %w", err)}
	case info.IsDir():
		file, err := modelIn(abs)
		if err != nil {
			return engine.ModelFile{}, usageError{err}
		}
		return chooseFile(file)
	}
	base := filepath.Base(abs)
	return engine.ModelFile{
		ID:      strings.TrimSuffix(base, filepath.Ext(base)),
		Aliases: []string{base},
		Path:    abs,
	}, nil
}

// otherPart is a part of a split model that is not the first.
var otherPart = regexp.MustCompile(`-\d{5}-of-\d{5}\.gguf$`)

// modelIn returns the model in a folder, if there is one only. Projectors are none.
func modelIn(dir string) (string, error) {
	files, err := filepath.Glob(filepath.Join(dir, "*.gguf"))
	if err != nil {
		return "", err
	}
	files = slices.DeleteFunc(files, func(f string) bool {
		name := filepath.Base(f)
		return strings.HasPrefix(name, "mmproj") || otherPart.MatchString(name) && !strings.Contains(name, "-00001-of-")
	})
	switch len(files) {
	case 0:
		return "", fmt.Errorf("%s is a folder without a .gguf file", dir)
	case 1:
		return files[0], nil
	}
	return "", fmt.Errorf("%s is a folder with %d models; give the path of one: %s", dir, len(files), strings.Join(files, ", "))
}

// maxTemplateBytes bounds a chat template; the longest real ones have 20 KB.
const maxTemplateBytes = 1 << 20

// readTemplate returns the text of --chat-template, or "" without one.
func readTemplate(path string) (string, error) {
	if path == "" {
		return "", nil
	}
	info, err := os.Stat(path)
	if err != nil {
		return "", usageError{fmt.Errorf("cannot read the chat template: %w", err)}
	}
	if !info.Mode().IsRegular() || info.Size() == 0 || info.Size() > maxTemplateBytes {
		return "", usageError{fmt.Errorf("the chat template %s must be a file of 1 to %d bytes", path, maxTemplateBytes)}
	}
	raw, err := os.ReadFile(path)
	if err != nil {
		return "", usageError{fmt.Errorf("cannot read the chat template: %w", err)}
	}
	return string(raw), nil
}
