package link_test

import (
	"net/url"
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"samovar/app/link"
)

func TestLinks(t *testing.T) {
	for text, want := range map[string]struct {
		link.Link
		path string
	}{
		"samovar://pull/owner/repo":                    {link.Link{Pull: "owner/repo"}, "/models?pull=owner/repo"},
		"samovar://pull/owner/repo/":                   {link.Link{Pull: "owner/repo"}, "/models?pull=owner/repo"},
		"SAMOVAR://Pull/Qwen/Qwen2.5-0.5B-GGUF:q4_k_m": {link.Link{Pull: "Qwen/Qwen2.5-0.5B-GGUF:Q4_K_M"}, "/models?pull=Qwen/Qwen2.5-0.5B-GGUF:Q4_K_M"},
		"samovar://open/models":                        {link.Link{Page: "models"}, "/models"},
		"samovar://open/agents":                        {link.Link{Page: "agents"}, "/agents"},
		"samovar://open/agents/one":                    {link.Link{Page: "agents", Agent: "one"}, "/agents/one"},
		"samovar://open/agents/a%2Fb%20c$":             {link.Link{Page: "agents", Agent: "a/b c$"}, "/agents/a%2Fb%20c%24"},
		"samovar://open/agents/a/b+c":                  {link.Link{Page: "agents", Agent: "a/b+c"}, "/agents/a%2Fb%2Bc"},
		"samovar://open/agents/%3Cimg%20src=x%3E%22'":  {link.Link{Page: "agents", Agent: `<img src=x>"'`}, "/agents/%3Cimg%20src%3Dx%3E%22%27"},
		"samovar://open/agents/gr%C3%BCn":              {link.Link{Page: "agents", Agent: "grün"}, "/agents/gr%C3%BCn"},
	} {
		l, err := link.Parse(text)
		require.NoError(t, err, text)
		require.Equal(t, want.Link, l, text)
		require.Equal(t, want.path, l.Path(), text)
	}
}

func TestWhatIsNoLink(t *testing.T) {
	for _, text := range []string{
		"", "samovar", "samovar:", "samovar://", "samovar:pull/owner/repo", "http://pull/owner/repo", "samovar://delete/owner/repo",
		"samovar://pull", "samovar://pull/owner", "samovar://pull/owner/repo/more", "samovar://pull/../repo", "samovar://pull/owner/..",
		"samovar://pull/owner/repo?x=1", "samovar://pull/owner/repo#x", "samovar://pull/owner/repo?", "samovar://me@pull/owner/repo", "samovar://pull:80/owner/repo",
		"samovar://pull/https://evil.example/x.gguf", "samovar://pull/huggingface.co/owner/repo", "samovar://pull/owner/repo:file.gguf", "samovar://pull/owner/repo@main",
		"samovar://pull/owner/repo:", "samovar://pull/ow%20ner/repo", "samovar://pull/owner%2Frepo/x", "samovar://pull/owner/repo%0A", "samovar://pull/--help/x",
		"samovar://open", "samovar://open/", "samovar://open/Models", "samovar://open/models/more", "samovar://open/../models", "samovar://open/models%3Fpull=a",
		"samovar://open/agents/%00", "samovar://open/agents/a%0Ab", "samovar://open/agents/%ff", "samovar://open/agents/%zz", "samovar://open/agents/" + strings.Repeat("a", 151),
		"samovar://open/" + strings.Repeat("a", 3000), "samovar://open/agents/a?b=c", "samovar://open/models#x", " samovar://open/models", "samovar://open/models\n",
	} {
		l, err := link.Parse(text)
		require.Error(t, err, "%s: %+v", text, l)
		require.Contains(t, err.Error(), "samovar://pull/owner/repo", "it says what links are")
		require.Empty(t, l)
	}
}

func FuzzParse(f *testing.F) {
	for _, seed := range []string{"samovar://pull/owner/repo:Q4_K_M", "samovar://open/agents/a%2Fb", "samovar://open/models", "samovar://pull/a/b?x#y"} {
		f.Add(seed)
	}
	// What window.ValidPage takes, without what begins another page.
	safe := regexp.MustCompile(`^/[a-z]+([/?][A-Za-z0-9/?=&%+~@:._-]{0,500})?$`)
	f.Fuzz(func(t *testing.T, text string) {
		l, err := link.Parse(text)
		if err != nil {
			return
		}
		path := l.Path()
		require.Regexp(t, safe, path)
		if l.Agent != "" {
			back, err := url.PathUnescape(strings.TrimPrefix(path, "/agents/"))
			require.NoError(t, err)
			require.Equal(t, l.Agent, back)
			require.True(t, utf8.ValidString(back))
		}
		again, err := link.Parse("samovar://pull/" + l.Pull)
		if l.Pull != "" {
			require.NoError(t, err)
			require.Equal(t, l, again)
		}
	})
}
