package config

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"

	"github.com/BurntSushi/toml"
)

// maxFileBytes bounds the settings file; a real one has some hundred bytes.
const maxFileBytes = 1 << 20

// FromFile is the layer of the settings file, in TOML. A file that does not
// exist sets nothing.
func FromFile(path string) (Layer, error) {
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return Layer{}, nil
	}
	if err != nil {
		return nil, fmt.Errorf("cannot read the settings file: %w", err)
	}
	if !info.Mode().IsRegular() || info.Size() > maxFileBytes {
		return nil, fmt.Errorf("%s: the settings file is not a regular file below %d bytes", path, maxFileBytes)
	}
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("cannot read the settings file: %w", err)
	}
	return parseFile(path, string(raw))
}

func parseFile(path, content string) (Layer, error) {
	var tree map[string]any
	if _, err := toml.Decode(content, &tree); err != nil {
		var pe toml.ParseError
		if errors.As(err, &pe) {
			return nil, fmt.Errorf("%s: line %d: %s", path, pe.Position.Line, oneLine(pe.Message))
		}
		return nil, fmt.Errorf("%s: %s", path, oneLine(err.Error()))
	}
	layer := Layer{}
	if err := collect(layer, path, "", tree); err != nil {
		return nil, err
	}
	return layer, nil
}

// collect walks a table in a stable order, so that of several errors always
// the same one is shown.
func collect(layer Layer, path, prefix string, tree map[string]any) error {
	names := make([]string, 0, len(tree))
	for name := range tree {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		full := prefix + name
		if sub, ok := tree[name].(map[string]any); ok && isTable(full) {
			if err := collect(layer, path, full+".", sub); err != nil {
				return err
			}
			continue
		}
		k, ok := keyNamed(full)
		if !ok {
			return unknownKey(path, full)
		}
		value, ok := asText(k.Kind, tree[name])
		if !ok {
			return fmt.Errorf("%s: %s = %v is not allowed; it takes %s: %s", path, full, tree[name], k.Kind, k.Allowed)
		}
		layer[full] = Value{Text: resolvePath(k, value, path), Origin: path + ": " + full}
	}
	return nil
}

func isTable(name string) bool {
	return slices.ContainsFunc(Keys, func(k Key) bool { return strings.HasPrefix(k.Name, name+".") })
}

func asText(kind Kind, v any) (string, bool) {
	switch v := v.(type) {
	case string:
		return v, kind == Text
	case int64:
		return fmt.Sprint(v), kind == Number
	case bool:
		return fmt.Sprint(v), kind == YesNo
	default:
		return "", false
	}
}

func unknownKey(path, name string) error {
	all := make([]string, len(Keys))
	for i, k := range Keys {
		all[i] = k.Name
	}
	if near := Nearest(name, all); near != "" {
		return fmt.Errorf("%s: unknown setting %q; did you mean %q?", path, name, near)
	}
	return fmt.Errorf("%s: unknown setting %q; there are: %s", path, name, strings.Join(all, ", "))
}

func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }
