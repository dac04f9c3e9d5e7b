package config

import (
	"fmt"
	"math"
	"net"
	"net/url"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/dustin/go-humanize"
)

// Kind is the kind of value that a setting takes in the settings file.
type Kind string

// The kinds of value.
const (
	Text   Kind = "text in quotes"
	Number Kind = "a number"
	YesNo  Kind = "true or false"
)

// Key is one setting in all its layers.
type Key struct {
	// Name is its name in the settings file; a dot separates table and key.
	Name string
	Kind Kind
	// Default is the value when no layer sets it.
	Default string
	// Allowed says in words what may be set.
	Allowed string
	// IsPath marks a value that is resolved against the folder of the settings
	// file when it stands there.
	IsPath bool

	apply func(s *Settings, value string) error
}

// Env is the name of the key's environment variable.
func (k Key) Env() string {
	return "SAMOVAR_" + strings.ToUpper(strings.ReplaceAll(k.Name, ".", "_"))
}

// Flag is the name of the key's flag, without dashes. Flags of a table's keys
// go without the table's name: they belong to the command of that name.
func (k Key) Flag() string {
	name := k.Name[strings.IndexByte(k.Name, '.')+1:]
	return strings.ReplaceAll(name, "_", "-")
}

// KVTypes are the types of KV cache that can be asked for.
var KVTypes = []string{"f16", "bf16", "f32", "q8_0", "q4_0"}

// MenuTitles are what can stand beside the icon in the menu bar.
var MenuTitles = []string{"off", "ttft", "tps"}

// APIs are the surfaces that a bench can ask through.
var APIs = []string{"openai", "anthropic"}

const (
	maxContext = 1 << 24
	maxThreads = 1024
	maxQueue   = 4096
	minWait    = time.Second
	maxWait    = time.Hour
	maxSize    = 1 << 50
	maxStreams = 64
	maxTokens  = 100_000
	maxRounds  = 1000
)

// Keys is every setting there is, in the order in which they are documented.
var Keys = []Key{
	{Name: "data_dir", Kind: Text, Allowed: "a folder", IsPath: true,
		apply: text(func(s *Settings) *string { return &s.DataDir })},
	{Name: "json_logs", Kind: YesNo, Default: "false", Allowed: "true or false",
		apply: yesNo(func(s *Settings) *bool { return &s.JSONLogs })},
	{Name: "addr", Kind: Text, Default: "127.0.0.1:7266", Allowed: "HOST:PORT with a loopback host, such as 127.0.0.1:7266; port 0 takes any free port",
		apply: applyAddr},
	{Name: "addr_file", Kind: Text, Allowed: "a file to write", IsPath: true,
		apply: text(func(s *Settings) *string { return &s.AddrFile })},
	{Name: "model", Kind: Text, Default: "guide", Allowed: `"guide", the name of a model (samovar models), or the path of a .gguf file`, IsPath: true,
		apply: applyModel},
	{Name: "shape", Kind: Text, Allowed: "the name of a shape, such as 0.5b",
		apply: text(func(s *Settings) *string { return &s.Shape })},
	{Name: "models", Kind: Text, Allowed: `more models, separated by commas: names, paths of .gguf files, shape-NAME`,
		apply: applyModels},
	{Name: "pinned", Kind: Text, Allowed: "names of models, separated by commas",
		apply: list(func(s *Settings) *[]string { return &s.Pinned })},
	{Name: "memory", Kind: Text, Default: "0", Allowed: "0 (what the machine has) or a size such as 12GiB",
		apply: size(func(s *Settings) *int64 { return &s.Memory })},
	{Name: "unload_after", Kind: Text, Default: "auto", Allowed: "auto (never while plugged in, after 30m on battery), never, or a duration such as 20m, from 10s on",
		apply: applyUnload},
	{Name: "pull_limit", Kind: Text, Default: "0", Allowed: "0 (as fast as it goes) or bytes a second, such as 5MB",
		apply: size(func(s *Settings) *int64 { return &s.PullLimit })},
	{Name: "keep_awake", Kind: YesNo, Default: "true", Allowed: "true or false",
		apply: yesNo(func(s *Settings) *bool { return &s.KeepAwake })},
	{Name: "menu_title", Kind: Text, Default: MenuTitles[0], Allowed: "off, ttft (p95 time to first token) or tps (tokens a second)",
		apply: oneOf(func(s *Settings) *string { return &s.MenuTitle }, MenuTitles)},
	{Name: "start_at_launch", Kind: YesNo, Default: "true", Allowed: "true or false",
		apply: yesNo(func(s *Settings) *bool { return &s.StartAtLaunch })},
	{Name: "notifications", Kind: YesNo, Default: "true", Allowed: "true or false",
		apply: yesNo(func(s *Settings) *bool { return &s.Notifications })},
	{Name: "ctx", Kind: Number, Default: "0", Allowed: fmt.Sprintf("0 (the model's own) to %d tokens", maxContext),
		apply: number(func(s *Settings) *int { return &s.ContextTokens }, 0, maxContext)},
	{Name: "kv", Kind: Text, Default: "f16", Allowed: strings.Join(KVTypes, ", "),
		apply: oneOf(func(s *Settings) *string { return &s.KVType }, KVTypes)},
	{Name: "kv_memory", Kind: Text, Default: "0", Allowed: "0 (chosen for the model) or a size such as 512MiB or 2GiB",
		apply: size(func(s *Settings) *int64 { return &s.KVBytes })},
	{Name: "queue_max", Kind: Number, Default: "256", Allowed: fmt.Sprintf("1 to %d requests", maxQueue),
		apply: number(func(s *Settings) *int { return &s.QueueMax }, 1, maxQueue)},
	{Name: "queue_wait", Kind: Text, Default: "30s", Allowed: fmt.Sprintf("a duration such as 30s or 2m, from %v to %v", minWait, maxWait),
		apply: duration(func(s *Settings) *time.Duration { return &s.QueueWait }, minWait, maxWait)},
	{Name: "keep_quota", Kind: Text, Default: "32GiB", Allowed: "a size such as 32GiB; 0 keeps nothing",
		apply: size(func(s *Settings) *int64 { return &s.KeepQuota })},
	{Name: "keep_daily", Kind: Text, Default: "128GiB", Allowed: "a size such as 128GiB; 0 for no bound",
		apply: size(func(s *Settings) *int64 { return &s.KeepDaily })},
	{Name: "keep_memory", Kind: Text, Default: "256MiB", Allowed: "a size such as 256MiB",
		apply: size(func(s *Settings) *int64 { return &s.KeepMemory })},
	{Name: "threads", Kind: Number, Default: "0", Allowed: fmt.Sprintf("0 (chosen for this machine) to %d", maxThreads),
		apply: number(func(s *Settings) *int { return &s.Threads }, 0, maxThreads)},
	{Name: "chat_template", Kind: Text, Allowed: "the path of a file with a Jinja chat template", IsPath: true,
		apply: text(func(s *Settings) *string { return &s.ChatTemplate })},
	{Name: "bench.streams", Kind: Number, Default: "4", Allowed: fmt.Sprintf("1 to %d", maxStreams),
		apply: number(func(s *Settings) *int { return &s.Bench.Streams }, 1, maxStreams)},
	{Name: "bench.tokens", Kind: Number, Default: "128", Allowed: fmt.Sprintf("2 to %d", maxTokens),
		apply: number(func(s *Settings) *int { return &s.Bench.Tokens }, 2, maxTokens)},
	{Name: "bench.rounds", Kind: Number, Default: "9", Allowed: fmt.Sprintf("1 to %d", maxRounds),
		apply: number(func(s *Settings) *int { return &s.Bench.Rounds }, 1, maxRounds)},
	{Name: "bench.lengths", Kind: Text, Default: "1024,2048,4096,8192", Allowed: "numbers of tokens from 64 on, separated by commas",
		apply: applyLengths},
	{Name: "bench.url", Kind: Text, Allowed: "the http or https address of a server, such as http://127.0.0.1:7266",
		apply: applyURL},
	{Name: "bench.scenario", Kind: Text, Default: "all", Allowed: "names of scenarios, separated by commas",
		apply: text(func(s *Settings) *string { return &s.Bench.Scenario })},
	{Name: "bench.api", Kind: Text, Default: APIs[0], Allowed: strings.Join(APIs, ", "),
		apply: oneOf(func(s *Settings) *string { return &s.Bench.API }, APIs)},
	{Name: "bench.quick", Kind: YesNo, Default: "false", Allowed: "true or false",
		apply: yesNo(func(s *Settings) *bool { return &s.Bench.Quick })},
	{Name: "bench.html", Kind: Text, Allowed: "a file to write", IsPath: true,
		apply: text(func(s *Settings) *string { return &s.Bench.HTML })},
}

// keyNamed finds a key by its name in the settings file.
func keyNamed(name string) (Key, bool) {
	for _, k := range Keys {
		if k.Name == name {
			return k, true
		}
	}
	return Key{}, false
}

// ModelIsPath says whether a model is named by the path of its file.
func ModelIsPath(model string) bool {
	if !strings.HasSuffix(strings.ToLower(model), ".gguf") {
		return strings.HasPrefix(model, ".") || strings.HasPrefix(model, "~") || filepath.IsAbs(model)
	}
	return !strings.Contains(model, ":") || filepath.IsAbs(model) // owner/repo:file.gguf is a name
}

func text(field func(*Settings) *string) func(*Settings, string) error {
	return func(s *Settings, value string) error {
		if value == "" {
			return errNotAllowed
		}
		*field(s) = value
		return nil
	}
}

func yesNo(field func(*Settings) *bool) func(*Settings, string) error {
	return func(s *Settings, value string) error {
		b, err := strconv.ParseBool(value)
		if err != nil {
			return errNotAllowed
		}
		*field(s) = b
		return nil
	}
}

func number(field func(*Settings) *int, lowest, highest int) func(*Settings, string) error {
	return func(s *Settings, value string) error {
		n, err := strconv.Atoi(value)
		if err != nil || n < lowest || n > highest {
			return errNotAllowed
		}
		*field(s) = n
		return nil
	}
}

func size(field func(*Settings) *int64) func(*Settings, string) error {
	return func(s *Settings, value string) error {
		n, err := humanize.ParseBytes(value)
		if err != nil || n > maxSize {
			return errNotAllowed
		}
		*field(s) = int64(n)
		return nil
	}
}

func duration(field func(*Settings) *time.Duration, least, most time.Duration) func(*Settings, string) error {
	return func(s *Settings, value string) error {
		d, err := time.ParseDuration(value)
		if err != nil || d < least || d > most {
			return errNotAllowed
		}
		*field(s) = d
		return nil
	}
}

func oneOf(field func(*Settings) *string, allowed []string) func(*Settings, string) error {
	return func(s *Settings, value string) error {
		for _, a := range allowed {
			if value == a {
				*field(s) = value
				return nil
			}
		}
		return errNotAllowed
	}
}

func applyModel(s *Settings, value string) error {
	if !isModel(value) {
		return errNotAllowed
	}
	s.Model = value
	return nil
}

// isModel says whether that may be a model's name, or is a path.
func isModel(text string) bool {
	return text != "" && (ModelIsPath(text) || !strings.ContainsAny(text, " \t\r\n,"))
}

// ShapePrefix begins the names of models with random weights.
const ShapePrefix = "shape-"

func applyModels(s *Settings, value string) error {
	s.Models = split(value)
	if len(s.Models) == 0 || slices.ContainsFunc(s.Models, func(m string) bool { return !isModel(m) }) {
		return errNotAllowed
	}
	return nil
}

func applyUnload(s *Settings, value string) error {
	switch value {
	case "auto":
		s.Unload = UnloadAuto
	case "never":
		s.Unload = UnloadNever
	default:
		return duration(func(s *Settings) *time.Duration { return &s.Unload }, minUnload, maxUnload)(s, value)
	}
	return nil
}

const (
	minUnload = 10 * time.Second
	maxUnload = 30 * 24 * time.Hour
)

// split returns what commas separate.
func split(value string) []string {
	var all []string
	for _, one := range strings.Split(value, ",") {
		if one = strings.TrimSpace(one); one != "" {
			all = append(all, one)
		}
	}
	return all
}

func list(field func(*Settings) *[]string) func(*Settings, string) error {
	return func(s *Settings, value string) error {
		*field(s) = split(value)
		if len(*field(s)) == 0 {
			return errNotAllowed
		}
		return nil
	}
}

// applyLengths takes numbers of tokens, in any order.
func applyLengths(s *Settings, value string) error {
	var lengths []int
	for _, one := range strings.Split(value, ",") {
		n, err := strconv.Atoi(strings.TrimSpace(one))
		if err != nil || n < minLength {
			return errNotAllowed
		}
		lengths = append(lengths, n)
	}
	slices.Sort(lengths)
	s.Bench.Lengths = slices.Compact(lengths)
	return nil
}

// minLength of a prompt, in tokens: the template alone has some.
const minLength = 64

func applyURL(s *Settings, value string) error {
	u, err := url.Parse(value)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return errNotAllowed
	}
	s.Bench.URL = value
	return nil
}

// applyAddr takes loopback hosts only: without tokens, which come in a later
// version, anything else would serve the whole network.
func applyAddr(s *Settings, value string) error {
	host, port, err := net.SplitHostPort(value)
	if err != nil {
		return errNotAllowed
	}
	if n, err := strconv.Atoi(port); err != nil || n < 0 || n > math.MaxUint16 {
		return errNotAllowed
	}
	ip := net.ParseIP(host)
	if host != "localhost" && (ip == nil || !ip.IsLoopback()) {
		return errNotLoopback
	}
	s.Addr = value
	return nil
}
