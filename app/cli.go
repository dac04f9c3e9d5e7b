package app

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/alecthomas/kong"

	"samovar/app/config"
)

// commandLine is what kong parses. Its flags are plain strings: the package
// config decides between them and the weaker layers, and says what is allowed.
type commandLine struct {
	DataDir  string `placeholder:"DIR" help:"Folder for everything: models, cache, state, settings."`
	JSONLogs bool   `name:"json-logs" negatable:"" help:"Write the log as JSON, one object a line."`

	Serve   serveFlags   `cmd:"" default:"withargs" help:"Serve a model on this machine (what a bare samovar does)."`
	Version versionFlags `cmd:"" help:"Print the version."`
	Doctor  doctorFlags  `cmd:"" help:"Check this machine, the data folder and the kept KV, and say what to do."`
	Window  windowFlags  `cmd:"" help:"Open the dashboard in a window."`
	PS      controlFlags `cmd:"" name:"ps" help:"Say what the samovar that runs serves."`
	Start   modelOrder   `cmd:"" help:"Start its models: the default one is loaded, the others when they are asked for."`
	Stop    modelOrder   `cmd:"" help:"Stop its models and save everything; the API stays up and says so."`
	Unload  modelOrder   `cmd:"" help:"Free the memory of its models until they are asked for; everything stays warm."`
	Restart modelOrder   `cmd:"" help:"Have another engine take over: requests wait for it and go on there."`
	Pin     pinOrder     `cmd:"" help:"Keep a model in memory, whatever others need."`
	Unpin   pinOrder     `cmd:"" help:"Let go of it."`
	Models  modelsFlags  `cmd:"" help:"List the models on this machine, and those that would suit it."`
	Pull    namedFlags   `cmd:"" help:"Download a model, or go on with a download."`
	RM      namedFlags   `cmd:"" name:"rm" help:"Delete a model that was downloaded, or cancel its download."`
	Search  searchFlags  `cmd:"" help:"Look for models on the Hugging Face Hub."`
	Open    openFlags    `cmd:"" help:"Show the dashboard, started if need be, or what a link such as samovar://pull/owner/repo means: it asks before it does anything."`
	Agents  agentsFlags  `cmd:"" help:"Say who comes back, and pin, fork, forget or move them."`
	Bench   struct {
		Decode decodeFlags `cmd:"" help:"Measure decoding through HTTP against the raw engine, in one run."`
		Batch  batchFlags  `cmd:"" help:"Measure requests that meet: batches, a long prompt beside streams, a common beginning; and single ones."`
		Resume resumeFlags `cmd:"" help:"Measure what coming back to a prompt costs after an eviction, a crash or a restart."`
		Stress stressFlags `cmd:"" help:"Put a server under load and judge how it bears it."`
	} `cmd:"" help:"Measure this machine."`
}

type modelFlags struct {
	Model    string `placeholder:"NAME|FILE" help:"The built-in guide, the name of a model that is here (samovar models), or a .gguf file."`
	Shape    string `placeholder:"NAME" help:"Instead of a model: one with random weights, made on the spot, to measure with."`
	Ctx      string `placeholder:"TOKENS" help:"Context size; 0 is the model's own."`
	KV       string `name:"kv" placeholder:"TYPE" help:"Type of the KV cache."`
	KVMemory string `name:"kv-memory" placeholder:"SIZE" help:"Memory for the KV cache, such as 2GiB; 0 chooses."`
	Threads  string `placeholder:"N" help:"Compute threads; 0 chooses."`
}

type serveFlags struct {
	Addr          string `placeholder:"HOST:PORT" help:"Address to listen on; port 0 takes any free one."`
	AddrFile      string `placeholder:"FILE" help:"Write the address there once listening."`
	modelFlags    `embed:""`
	Models        string `placeholder:"NAME,…" help:"More models: guide, .gguf files, shape-NAME. They are loaded when a request asks for them."`
	Pinned        string `placeholder:"NAME,…" help:"Models that are not unloaded to make room."`
	Memory        string `placeholder:"SIZE" help:"Memory for all models together; 0 is what the machine has."`
	UnloadAfter   string `placeholder:"TIME" help:"Unload models that nobody asks for so long: auto, never or a time."`
	PullLimit     string `placeholder:"SIZE" help:"Fastest that models are downloaded, in bytes a second, such as 5MB; 0 is as fast as it goes."`
	KeepAwake     string `placeholder:"true|false" help:"Keep the machine from idle sleep while requests run."`
	MenuTitle     string `placeholder:"NAME" help:"What stands beside the icon in the menu bar: off, ttft or tps."`
	StartAtLaunch string `placeholder:"true|false" help:"Load the model at once; otherwise all begin stopped, until somebody starts them."`
	Notifications string `placeholder:"true|false" help:"Have the desktop say when a download ends or something goes wrong (menu bar only)."`
	QueueMax      string `placeholder:"N" help:"Most requests that run and wait; more are told to come back (429)."`
	QueueWait     string `placeholder:"TIME" help:"Longest that a request may have to wait for its turn."`
	KeepQuota     string `placeholder:"SIZE" help:"Disk space for the KV that is kept of a model; 0 keeps none."`
	KeepDaily     string `placeholder:"SIZE" help:"Most that is written for it in a day; 0 for no bound."`
	KeepMemory    string `placeholder:"SIZE" help:"Memory for what of it is likely to be needed."`
	ChatTemplate  string `placeholder:"FILE" help:"Jinja template to use instead of the model's own."`
}

type versionFlags struct {
	JSON bool `help:"Print JSON."`
}

type doctorFlags struct {
	Addr   string `placeholder:"HOST:PORT" help:"Address that Samovar listens on, or would."`
	Repair bool   `help:"Put right what is wrong with the kept KV: wrong files go to quarantine, unfinished ones are deleted, a broken index is made anew."`
	JSON   bool   `help:"Print JSON."`
}

type windowFlags struct {
	Page  string `placeholder:"/PAGE" help:"What to show, such as /models or /agents/NAME; what was shown last if it is not given."`
	Child bool   `hidden:"" help:"Be told by standard input which pages to show, and end with it."`
}

type openFlags struct {
	Link string `arg:"" optional:"" name:"link" help:"samovar://pull/owner/repo, samovar://open/PAGE or samovar://open/agents/ID; without one, what was shown last."`
}

type decodeFlags struct {
	modelFlags `embed:""`
	Streams    string `placeholder:"N" help:"Streams of the second measurement."`
	Tokens     string `placeholder:"N" help:"Tokens to generate in each stream."`
	Rounds     string `placeholder:"N" help:"Rounds; the result is their median."`
	JSON       bool   `help:"Print JSON."`
}

type batchFlags struct {
	modelFlags `embed:""`
	Tokens     string `placeholder:"N" help:"Tokens to generate in each stream."`
	Rounds     string `placeholder:"N" help:"Rounds; the result is their median."`
	HTML       string `name:"html" placeholder:"FILE" help:"Write a report with plots there, too."`
	JSON       bool   `help:"Print JSON."`
}

type resumeFlags struct {
	modelFlags `embed:""`
	Lengths    string `placeholder:"N,…" help:"About how many tokens the prompts have."`
	Rounds     string `placeholder:"N" help:"How often each comes back; results are medians."`
	Scenario   string `placeholder:"NAME,…" help:"What to measure: all, or some of endings, overhead, turns, conversation, experts."`
	HTML       string `name:"html" placeholder:"FILE" help:"Write a report with plots there, too."`
	JSON       bool   `help:"Print JSON."`
}

type stressFlags struct {
	modelFlags `embed:""`
	URL        string `name:"url" placeholder:"URL" help:"Measure this server instead of serving a model; any that speaks the surface."`
	Scenario   string `placeholder:"NAME,…" help:"What to play: all, or some of levels, patient, burst, agents, identical, rate, health, mixed, disconnect, slow, storm, recovery, sustained, soak."`
	API        string `name:"api" placeholder:"NAME" help:"Surface to use: openai or anthropic."`
	Quick      bool   `help:"Everything small, in a minute or two: to see that it works."`
	HTML       string `name:"html" placeholder:"FILE" help:"Write a report with plots there, too."`
	JSON       bool   `help:"Print JSON."`
}

// The commands, as kong spells them.
const (
	cmdServe       = "serve"
	cmdVersion     = "version"
	cmdDoctor      = "doctor"
	cmdWindow      = "window"
	cmdOpen        = "open"
	cmdAgents      = "agents"
	cmdModels      = "models"
	cmdPull        = "pull"
	cmdRemove      = "rm"
	cmdSearch      = "search"
	cmdPS          = "ps"
	cmdStart       = "start"
	cmdStop        = "stop"
	cmdUnload      = "unload"
	cmdRestart     = "restart"
	cmdPin         = "pin"
	cmdUnpin       = "unpin"
	cmdBenchDecode = "bench decode"
	cmdBenchBatch  = "bench batch"
	cmdBenchResume = "bench resume"
	cmdBenchStress = "bench stress"
)

// invocation is a parsed command line.
type invocation struct {
	command string
	// bare says that no command was given.
	bare bool
	json bool
	// drain is how long running answers may take at the end; 0 is the server's usual time.
	drain time.Duration
	// repair is doctor's.
	repair bool
	agents agentsCall
	// page is what window shows, and child says that the menu bar commands it.
	page  string
	child bool
	// link is what open follows, if anything.
	link string
	// model is whom an order is about; empty is all.
	model string
	// flags holds the settings among the flags, as written.
	flags map[string]string
}

// errHelpShown ends parsing after --help.
var errHelpShown = errors.New("help was shown")

func parse(args []string, stdout io.Writer) (invocation, error) {
	var cl commandLine
	helped := false
	parser, err := kong.New(&cl,
		kong.Name("samovar"),
		kong.Description("Samovar serves local models to agents on this machine. Documentation: README.md."),
		kong.Writers(stdout, io.Discard),
		kong.Exit(func(int) { helped = true }),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true}),
		kong.ValueFormatter(describeFlag),
		kong.Help(printHelp),
	)
	if err != nil {
		return invocation{}, fmt.Errorf("the command line is built wrong: %w", err)
	}
	if len(args) > 0 && args[0] == "help" {
		args = append(slices.Clone(args[1:]), "--help")
	}
	if err := unknownCommand(parser.Model.Node, args); err != nil {
		return invocation{}, err
	}
	parsed, err := parser.Parse(args)
	if helped {
		return invocation{}, errHelpShown
	}
	if err != nil {
		return invocation{}, usageError{fmt.Errorf("%w; see samovar --help", err)}
	}
	var called agentsCall
	if strings.HasPrefix(parsed.Command(), cmdAgents) {
		called = cl.Agents.call(parsed.Command())
	}
	command, _, _ := strings.Cut(parsed.Command(), " <") // without the names of arguments
	orders := map[string]modelOrder{
		cmdStart: cl.Start, cmdStop: cl.Stop, cmdUnload: cl.Unload, cmdRestart: cl.Restart,
		cmdPin: {cl.Pin.controlFlags, cl.Pin.Name}, cmdUnpin: {cl.Unpin.controlFlags, cl.Unpin.Name},
		cmdModels: {controlFlags(cl.Models), ""}, cmdPull: {controlFlags(cl.Pull.modelsFlags), cl.Pull.Name},
		cmdRemove: {controlFlags(cl.RM.modelsFlags), cl.RM.Name}, cmdSearch: {controlFlags{JSON: cl.Search.JSON}, cl.Search.Query},
	}
	return invocation{
		command: command,
		bare:    !slices.Contains(args, cmdServe) && parsed.Command() == cmdServe,
		model:   orders[command].Name,
		json:    cl.Version.JSON || cl.Doctor.JSON || cl.Agents.JSON || cl.PS.JSON || orders[command].JSON || cl.Bench.Decode.JSON || cl.Bench.Batch.JSON || cl.Bench.Resume.JSON || cl.Bench.Stress.JSON,
		repair:  cl.Doctor.Repair,
		page:    cl.Window.Page,
		child:   cl.Window.Child,
		link:    cl.Open.Link,
		flags:   settingsOf(parsed),
		agents:  called,
	}, nil
}

// notSettings are flags that say what to do this once.
var notSettings = []string{"json", "repair", "page", "child"}

// settingsOf returns the flags that were on the command line.
func settingsOf(parsed *kong.Context) map[string]string {
	set := map[string]string{}
	for _, p := range parsed.Path {
		if p.Flag == nil || slices.Contains(notSettings, p.Flag.Name) {
			continue
		}
		set[p.Flag.Name] = fmt.Sprint(parsed.FlagValue(p.Flag))
	}
	return set
}

// unknownCommand refuses words that are no command, and says which there are.
// Without it, kong would read them as arguments of serve.
func unknownCommand(node *kong.Node, args []string) error {
	path := ""
	for _, word := range args {
		if strings.HasPrefix(word, "-") || len(node.Children) == 0 {
			return nil
		}
		var names []string
		var next *kong.Node
		for _, child := range node.Children {
			names = append(names, path+child.Name)
			if child.Name == word {
				next = child
			}
		}
		if next == nil {
			hint := "this version has: " + strings.Join(names, ", ")
			if near := config.Nearest(path+word, names); near != "" {
				hint = fmt.Sprintf("did you mean %q? %s", near, hint)
			}
			if instead := planned[path+word]; instead != "" {
				return usageError{fmt.Errorf("%q is not in this version yet, though the guide knows of it; %s; %s", path+word, instead, hint)}
			}
			return usageError{fmt.Errorf("there is no command %q; %s", path+word, hint)}
		}
		node, path = next, path+word+" "
	}
	return nil
}

// planned are the commands that the built-in guide tells people of and that
// come later, with what to do until then.
var planned = map[string]string{
	"launch": "set the tool's base URL as the README says",
}

// describeFlag adds a flag's variable and default to its help.
func describeFlag(value *kong.Value) string {
	for _, k := range config.Keys {
		if value.Flag == nil || value.Flag.Name != k.Flag() {
			continue
		}
		if k.Default != "" && k.Kind != config.YesNo {
			return fmt.Sprintf("%s (default %s, %s)", value.Help, k.Default, k.Env())
		}
		return fmt.Sprintf("%s (%s)", value.Help, k.Env())
	}
	return value.Help
}

func printHelp(options kong.HelpOptions, ctx *kong.Context) error {
	if err := kong.DefaultHelpPrinter(options, ctx); err != nil {
		return err
	}
	_, err := io.WriteString(ctx.Stdout, exitHelp)
	return err
}
