package config

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/BurntSushi/toml"
)

// Describe says what each setting is, and where that comes from, as Resolve takes it from
// the same layers.
func Describe(layers ...Layer) (map[string]Value, error) {
	chosen, err := choose(layers)
	if err != nil {
		return nil, err
	}
	all := map[string]Value{}
	for _, k := range Keys {
		v, ok := chosen[k.Name]
		if !ok {
			v = Value{Text: k.Default, Origin: "default"}
		}
		all[k.Name] = v
	}
	return all, nil
}

// Edit sets a setting in the settings file, or takes it out if value is nil. What else
// is there, comments included, stays as it is. A value that is not allowed is an *Error,
// and changes nothing; a file that does not exist is made.
func Edit(path, name string, value *string) error {
	k, ok := keyNamed(name)
	if !ok || strings.Contains(name, ".") {
		return fmt.Errorf("there is no setting %q", name)
	}
	raw, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	line := ""
	if value != nil {
		if line, err = assignment(k, *value); err != nil {
			return err
		}
	}
	edited := editLines(string(raw), name, line)
	layer, err := parseFile(path, edited)
	if err != nil {
		return fmt.Errorf("the settings file cannot be changed here; edit it by hand: %w", err)
	}
	if _, still := layer[name]; still != (value != nil) {
		return fmt.Errorf("the settings file has %s in a form that cannot be changed here; edit it by hand: %s", name, path)
	}
	if _, err := Resolve(layer); err != nil {
		return err
	}
	return replace(path, []byte(edited))
}

// assignment is a line of the settings file.
func assignment(k Key, value string) (string, error) {
	var v any = value
	switch k.Kind {
	case Number:
		n, err := strconv.ParseInt(value, 10, 64)
		if err != nil {
			return "", &Error{Key: k, Value: Value{Text: value, Origin: k.Name}, cause: errNotAllowed}
		}
		v = n
	case YesNo:
		b, err := strconv.ParseBool(value)
		if err != nil {
			return "", &Error{Key: k, Value: Value{Text: value, Origin: k.Name}, cause: errNotAllowed}
		}
		v = b
	}
	var out bytes.Buffer
	if err := toml.NewEncoder(&out).Encode(map[string]any{k.Name: v}); err != nil {
		return "", err
	}
	return strings.TrimSpace(out.String()), nil
}

// editLines replaces the line that sets a top-level key, or adds one before the first
// table; an empty line takes it out.
func editLines(content, name, line string) string {
	lines := strings.Split(content, "\n")
	top := slices.IndexFunc(lines, func(l string) bool { return strings.HasPrefix(strings.TrimSpace(l), "[") })
	if top < 0 {
		top = len(lines)
	}
	sets := regexp.MustCompile(`^\s*"?` + regexp.QuoteMeta(name) + `"?\s*=`)
	at := slices.IndexFunc(lines[:top], sets.MatchString)
	switch {
	case at >= 0 && line == "":
		lines = slices.Delete(lines, at, at+1)
	case at >= 0:
		lines[at] = line
	case line != "":
		for top > 0 && strings.TrimSpace(lines[top-1]) == "" { // above the empty lines
			top--
		}
		lines = slices.Insert(lines, top, line)
	}
	return strings.TrimRight(strings.Join(lines, "\n"), "\n") + "\n"
}

// replace writes a file that appears whole or not at all.
func replace(path string, content []byte) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	tmp, err := os.CreateTemp(filepath.Dir(path), ".settings-*")
	if err != nil {
		return err
	}
	_, err = tmp.Write(content)
	err = errors.Join(err, tmp.Sync(), tmp.Close())
	if err == nil {
		err = os.Rename(tmp.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(tmp.Name()))
	}
	return nil
}
