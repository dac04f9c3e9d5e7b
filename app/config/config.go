package config

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"time"
)

// Settings is what one run goes by.
type Settings struct {
	// DataDir, if set, holds everything that Samovar writes.
	DataDir  string
	JSONLogs bool
	// Addr is the loopback address to listen on.
	Addr string
	// AddrFile, if set, is where the address is written once listening.
	AddrFile string
	// Model is "guide" or a path; empty when Shape is set.
	Model string
	// Shape names the random-weight model to make and serve.
	Shape string
	// Models are more models, as Model or "shape-NAME", that are loaded when they are asked
	// for; Pinned are those by name that are not unloaded to make room.
	Models, Pinned []string
	// Memory is what all models may take, in bytes; 0 is what the machine has.
	Memory int64
	// Unload is after how long without a request a model is unloaded; see the constants.
	Unload time.Duration
	// PullLimit bounds how fast models are downloaded, in bytes a second; 0 does not.
	PullLimit int64
	// KeepAwake keeps the machine from idle sleep while requests run.
	KeepAwake bool
	// MenuTitle is what stands beside the icon in the menu bar, one of MenuTitles.
	MenuTitle string
	// StartAtLaunch loads the default model when Samovar starts; else all begin stopped.
	StartAtLaunch bool
	// Notifications has the desktop told of downloads that ended and of what went wrong.
	Notifications bool
	// ContextTokens is the size of the context; 0 is the model's own.
	ContextTokens int
	KVType        string
	// KVBytes bounds the KV cache's memory; 0 leaves its size to the engine.
	KVBytes int64
	// KeepQuota bounds the files of kept KV, KeepDaily what is written to them in a day
	// (0: no bound), KeepMemory what of them is held in memory; all in bytes, for each
	// model. A quota of 0 keeps nothing.
	KeepQuota, KeepDaily, KeepMemory int64
	// QueueMax bounds the requests that run and wait, QueueWait how long one may
	// have to wait for its turn.
	QueueMax  int
	QueueWait time.Duration
	// Threads is the number of compute threads; 0 lets the engine choose.
	Threads int
	// ChatTemplate, if set, is a file that replaces the model's template.
	ChatTemplate string
	Bench        Bench
}

// What Settings.Unload may be instead of a time: never; or never while plugged in, and
// after UnloadOnBattery otherwise.
const (
	UnloadNever time.Duration = 0
	UnloadAuto  time.Duration = -1

	UnloadOnBattery = 30 * time.Minute
)

// Bench holds the settings of the bench commands.
type Bench struct {
	Streams, Tokens, Rounds int
	// Lengths are in tokens, shortest first.
	Lengths []int
	// URL, if set, is the server to measure; API the surface to use there.
	URL, API string
	// Scenario names what to play, separated by commas.
	Scenario string
	// Quick makes everything small.
	Quick bool
	// HTML, if set, is where a report with plots is written.
	HTML string
}

// Value is what one layer sets, and where exactly.
type Value struct {
	Text string
	// Origin names the place to a person: a flag, a variable or a file's key.
	Origin string
}

// Layer is what one source sets, by Key.Name.
type Layer map[string]Value

var (
	errNotAllowed  = errors.New("not allowed")
	errNotLoopback = errors.New("not loopback")
)

// Error says which setting cannot be used.
type Error struct {
	Key Key
	Value
	cause error
}

// Error names the place, the value and what is allowed instead.
func (e *Error) Error() string {
	if errors.Is(e.cause, errNotLoopback) {
		return fmt.Sprintf("%s: %q is not a loopback address; this version has no access tokens yet, so it serves this machine only: use 127.0.0.1:PORT", e.Origin, e.Text)
	}
	return fmt.Sprintf("%s: %q is not allowed; allowed: %s", e.Origin, e.Text, e.Key.Allowed)
}

// Resolve merges layers, the strongest first, over the defaults.
func Resolve(layers ...Layer) (Settings, error) {
	var s Settings
	chosen, err := choose(layers)
	if err != nil {
		return s, err
	}
	for _, k := range Keys {
		v, ok := chosen[k.Name]
		if !ok {
			if k.Default == "" {
				continue
			}
			v = Value{Text: k.Default, Origin: "default"}
		}
		if err := k.apply(&s, v.Text); err != nil {
			return s, &Error{Key: k, Value: v, cause: err}
		}
	}
	if s.Shape != "" {
		s.Model = ""
	}
	return s, nil
}

// choose takes each key from the strongest layer that sets it. model and shape
// are one choice: the strongest layer that sets either decides.
func choose(layers []Layer) (Layer, error) {
	chosen := Layer{}
	modelDecided := false
	for _, layer := range layers {
		model, hasModel := layer["model"]
		shape, hasShape := layer["shape"]
		if hasModel && hasShape && !modelDecided {
			return nil, fmt.Errorf("%s and %s exclude each other: set one of them", model.Origin, shape.Origin)
		}
		for name, v := range layer {
			if modelDecided && (name == "model" || name == "shape") {
				continue
			}
			if _, ok := chosen[name]; !ok {
				chosen[name] = v
			}
		}
		modelDecided = modelDecided || hasModel || hasShape
	}
	return chosen, nil
}

// FromEnv is the layer of the SAMOVAR_ variables. An empty variable is unset.
func FromEnv(lookup func(string) (string, bool)) Layer {
	layer := Layer{}
	for _, k := range Keys {
		if v, ok := lookup(k.Env()); ok && v != "" {
			layer[k.Name] = Value{Text: v, Origin: k.Env()}
		}
	}
	return layer
}

// FromFlags is the layer of the command line, from flag names to values.
func FromFlags(set map[string]string) Layer {
	layer := Layer{}
	for _, k := range Keys {
		if v, ok := set[k.Flag()]; ok {
			layer[k.Name] = Value{Text: v, Origin: "--" + k.Flag()}
		}
	}
	return layer
}

// resolvePath makes a path from the settings file independent of the folder
// that Samovar was started in.
func resolvePath(k Key, value, file string) string {
	if k.Name == "models" {
		names := split(value)
		for i, name := range names {
			if ModelIsPath(name) && !filepath.IsAbs(name) {
				names[i] = filepath.Join(filepath.Dir(file), name)
			}
		}
		return strings.Join(names, ",")
	}
	if !k.IsPath || value == "" || filepath.IsAbs(value) {
		return value
	}
	if k.Name == "model" && !ModelIsPath(value) {
		return value
	}
	return filepath.Join(filepath.Dir(file), value)
}
