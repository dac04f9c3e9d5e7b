package tray

import (
	"time"

	"samovar/engine/infer"
)

// Snapshot is everything that the menu shows, as it was at one moment.
type Snapshot struct {
	Version string
	// Address is where programs find us, as http://HOST:PORT.
	Address string
	// Broken says why nothing is served at all; its zero value if something is.
	Broken Problem
	// Quitting is set once Samovar is on its way out; Running requests are still
	// answered, if that is what it waits for.
	Quitting bool
	Running  int

	// Default is the default model's state, Models that of all that the engine knows.
	Default infer.Status
	Models  []infer.Status
	// Here are the names of the models that are on this machine and can be used.
	Here []string
	// Pulls are the downloads, the newest first.
	Pulls []infer.Pull
	// Relief says what is being done about scarce memory; empty if nothing is.
	Relief string
	// Crash is the last time that an engine died, if that was lately; Fresh says that it
	// was just now.
	Crash Problem
	Fresh bool
	// Said is what came of the last order, if it failed or has something to say.
	Said Problem

	Speed  Speed
	Agents Agents
	Title  Title
	Login  Login
	// SettingsFile is the file of the settings.
	SettingsFile string
}

// Problem is something for a person to know, and what to do about it.
type Problem struct {
	Text, Hint string
}

// Speed is how requests fared lately.
type Speed struct {
	// P50 and P95 are times to the first token; Known says that there are any.
	P50, P95 time.Duration
	Known    bool
	// TokensPerSecond is over all streams, in the last second.
	TokensPerSecond float64
}

// Agents are how many come back how fast; Known says that the engine has told.
type Agents struct {
	Hot, Warm int
	Known     bool
}

// Title is what stands beside the icon.
type Title string

// The titles.
const (
	TitleOff  Title = "off"
	TitleTTFT Title = "ttft"
	TitleTPS  Title = "tps"
)

// Login is whether Samovar starts when the user logs in, if that can be.
type Login struct {
	Supported, Enabled bool
}

// Verb is what can be asked for by a click.
type Verb int

// The verbs. What Order.Of means stands behind those that need it.
const (
	Nothing      Verb = iota
	Start             // a model's name, or empty
	Stop              //
	Use               // a model's name
	Open              // a page of the dashboard, or empty: the one that was shown last
	OpenFile          // a file's path
	CopyEndpoint      //
	SetLogin          // "true" or "false"
	Quit              //
)

// Order is what a click on an item asks for.
type Order struct {
	Verb Verb
	Of   string
}
