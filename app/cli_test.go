package app

import (
	"bytes"
	"testing"

	"github.com/alecthomas/kong"
	"github.com/stretchr/testify/require"

	"samovar/app/config"
)

func TestEveryFlagIsASettingAndEverySettingAFlag(t *testing.T) {
	parser, err := kong.New(&commandLine{})
	require.NoError(t, err)
	flags := map[string]bool{}
	var walk func(*kong.Node)
	walk = func(n *kong.Node) {
		for _, f := range n.Flags {
			flags[f.Name] = true
		}
		for _, c := range n.Children {
			walk(c)
		}
	}
	walk(parser.Model.Node)
	delete(flags, "help")
	for _, name := range notSettings {
		delete(flags, name)
	}
	settings := map[string]bool{}
	for _, k := range config.Keys {
		settings[k.Flag()] = true
	}
	require.Equal(t, settings, flags)
}

func TestParse(t *testing.T) {
	cases := []struct {
		args []string
		want invocation
	}{
		{nil, invocation{command: cmdServe, bare: true}},
		{[]string{"--addr", "x"}, invocation{command: cmdServe, bare: true, flags: map[string]string{"addr": "x"}}},
		{[]string{"serve", "--ctx=-5", "--data-dir", "d"}, invocation{command: cmdServe, flags: map[string]string{"ctx": "-5", "data-dir": "d"}}},
		{[]string{"--json-logs", "serve"}, invocation{command: cmdServe, flags: map[string]string{"json-logs": "true"}}},
		{[]string{"serve", "--no-json-logs"}, invocation{command: cmdServe, flags: map[string]string{"json-logs": "false"}}},
		{[]string{"serve", "--kv", "f16", "--kv", "f32"}, invocation{command: cmdServe, flags: map[string]string{"kv": "f32"}}},
		{[]string{"version", "--json"}, invocation{command: cmdVersion, json: true}},
		{[]string{"doctor", "--repair", "--addr", "x"}, invocation{command: cmdDoctor, repair: true, flags: map[string]string{"addr": "x"}}},
		{[]string{"doctor", "--json"}, invocation{command: cmdDoctor, json: true}},
		{[]string{"window"}, invocation{command: cmdWindow}},
		{[]string{"window", "--page", "/agents/one", "--data-dir", "d"}, invocation{command: cmdWindow, page: "/agents/one", flags: map[string]string{"data-dir": "d"}}},
		{[]string{"window", "--child"}, invocation{command: cmdWindow, child: true}},
		{[]string{"ps", "--json"}, invocation{command: cmdPS, json: true}},
		{[]string{"stop", "guide"}, invocation{command: cmdStop, model: "guide"}},
		{[]string{"unpin", "owner/repo:q4", "--json"}, invocation{command: cmdUnpin, model: "owner/repo:q4", json: true}},
		{[]string{"stop", "--addr", "x"}, invocation{command: cmdStop, flags: map[string]string{"addr": "x"}}},
		{[]string{"agents"}, invocation{command: "agents list", agents: agentsCall{verb: "list"}}},
		{[]string{"agents", "--json", "--addr", "x"}, invocation{command: "agents list", json: true, agents: agentsCall{verb: "list"}, flags: map[string]string{"addr": "x"}}},
		{[]string{"agents", "show", "list"}, invocation{command: "agents show", agents: agentsCall{verb: "show", agent: "list"}}},
		{[]string{"agents", "unpin", "a b"}, invocation{command: "agents unpin", agents: agentsCall{verb: "unpin", agent: "a b"}}},
		{[]string{"agents", "fork", "one", "two"}, invocation{command: "agents fork", agents: agentsCall{verb: "fork", agent: "one", to: "two"}}},
		{[]string{"agents", "export", "one", "f"}, invocation{command: "agents export", agents: agentsCall{verb: "export", agent: "one", file: "f"}}},
		{[]string{"agents", "import", "f"}, invocation{command: "agents import", agents: agentsCall{verb: "import", file: "f"}}},
		{[]string{"agents", "import", "f", "one"}, invocation{command: "agents import", agents: agentsCall{verb: "import", file: "f", to: "one"}}},
		{[]string{"bench", "decode", "--streams", "2", "--json"}, invocation{command: cmdBenchDecode, json: true, flags: map[string]string{"streams": "2"}}},
		{[]string{"bench", "resume", "--lengths", "512", "--json"}, invocation{command: cmdBenchResume, json: true, flags: map[string]string{"lengths": "512"}}},
		{[]string{"bench", "stress", "--quick", "--url", "http://h:1", "--json"}, invocation{command: cmdBenchStress, json: true, flags: map[string]string{"quick": "true", "url": "http://h:1"}}},
	}
	for _, c := range cases {
		got, err := parse(c.args, &bytes.Buffer{})
		require.NoError(t, err, "%v", c.args)
		if c.want.flags == nil {
			c.want.flags = map[string]string{}
		}
		require.Equal(t, c.want, got, "%v", c.args)
	}
}

func TestWrongCommandLines(t *testing.T) {
	cases := []struct {
		args []string
		want []string
	}{
		{[]string{"launch", "claude"}, []string{`"launch"`, "not in this version yet", "base URL", "serve", "version", "bench"}},
		{[]string{"fly"}, []string{`"fly"`, "serve", "version", "bench"}},
		{[]string{"serv"}, []string{`did you mean "serve"`}},
		{[]string{"bench"}, []string{"decode", "--help"}},
		{[]string{"bench", "fly"}, []string{`"bench fly"`, "bench decode", "bench stress"}},
		{[]string{"agents", "fly"}, []string{`"agents fly"`, "agents list", "agents export"}},
		{[]string{"agents", "forgot"}, []string{`did you mean "agents forget"`}},
		{[]string{"agents", "show"}, []string{"<agent>", "--help"}},
		{[]string{"agents", "fork", "one"}, []string{"<to>", "--help"}},
		{[]string{"agents", "--threads", "3"}, []string{"--threads"}},
		{[]string{"serve", "--adr", "x"}, []string{"--adr", "--addr", "--help"}},
		{[]string{"serve", "extra"}, []string{"extra", "--help"}},
		{[]string{"--json-logs", "frob"}, []string{"frob"}},
		{[]string{"serve", "--json"}, []string{"--json"}},
		{[]string{"version", "--addr", "x"}, []string{"--addr"}},
	}
	for _, c := range cases {
		var out bytes.Buffer
		_, err := parse(c.args, &out)
		require.Error(t, err, "%v", c.args)
		require.Equal(t, exitUsage, exitCode(err))
		for _, part := range c.want {
			require.ErrorContains(t, err, part, "%v", c.args)
		}
		require.NotContains(t, err.Error(), "\n")
		require.Empty(t, out.String())
	}
}

func TestHelp(t *testing.T) {
	for _, args := range [][]string{{"--help"}, {"-h"}, {"help"}, {"serve", "--help"}, {"help", "bench", "decode"}} {
		var out bytes.Buffer
		_, err := parse(args, &out)
		require.ErrorIs(t, err, errHelpShown, "%v", args)
		require.Contains(t, out.String(), "Exit codes:", "%v", args)
		require.Contains(t, out.String(), "SAMOVAR_DATA_DIR", "%v", args)
	}
	var out bytes.Buffer
	_, _ = parse([]string{"serve", "--help"}, &out)
	require.Contains(t, out.String(), "127.0.0.1:7266")
	for _, later := range []string{"samovar launch", "doctor", "resume"} {
		require.NotContains(t, out.String(), later)
	}
}
