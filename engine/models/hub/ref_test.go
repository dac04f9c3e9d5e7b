package hub

import (
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// readable are references with what they mean and their canonical form, which is
// themselves if it's empty.
var readable = []struct {
	text      string
	want      Ref
	canonical string
}{
	{"owner/repo", Ref{Repo: "owner/repo"}, ""},
	{" owner/repo\n", Ref{Repo: "owner/repo"}, "owner/repo"},
	{"bartowski/Llama-3.2-1B-Instruct-GGUF:Q4_K_M", Ref{Repo: "bartowski/Llama-3.2-1B-Instruct-GGUF", Quant: "Q4_K_M"}, ""},
	{"owner/repo:q4_k_m", Ref{Repo: "owner/repo", Quant: "Q4_K_M"}, "owner/repo:Q4_K_M"},
	{"owner/repo:UD-Q4_K_XL", Ref{Repo: "owner/repo", Quant: "UD-Q4_K_XL"}, ""},
	{"owner/repo:latest", Ref{Repo: "owner/repo"}, "owner/repo"},
	{"owner/repo:file.gguf", Ref{Repo: "owner/repo", File: "file.gguf"}, ""},
	{"owner/repo:BF16/a b-00001-of-00002.GGUF", Ref{Repo: "owner/repo", File: "BF16/a b-00001-of-00002.GGUF"}, ""},
	{"owner/repo:a/b/c.gguf", Ref{Repo: "owner/repo", File: "a/b/c.gguf"}, ""},
	{"owner/repo@v1.0", Ref{Repo: "owner/repo", Revision: "v1.0"}, ""},
	{"owner/repo@main", Ref{Repo: "owner/repo"}, "owner/repo"},
	{"owner/repo@refs/pr/1:Q8_0", Ref{Repo: "owner/repo", Revision: "refs/pr/1", Quant: "Q8_0"}, ""},
	{"hf.co/owner/repo:Q4_K_M", Ref{Repo: "owner/repo", Quant: "Q4_K_M"}, "owner/repo:Q4_K_M"},
	{"hf.co/owner/repo@refs/pr/1:a/b.gguf", Ref{Repo: "owner/repo", Revision: "refs/pr/1", File: "a/b.gguf"}, "owner/repo@refs/pr/1:a/b.gguf"},
	{"huggingface.co/owner/repo", Ref{Repo: "owner/repo"}, "owner/repo"},
	{"HTTPS://HuggingFace.co/owner/repo/", Ref{Repo: "owner/repo"}, "owner/repo"},
	{"https://huggingface.co/owner/repo/tree/main", Ref{Repo: "owner/repo"}, "owner/repo"},
	{"https://huggingface.co/owner/repo/tree/v2", Ref{Repo: "owner/repo", Revision: "v2"}, "owner/repo@v2"},
	{"https://huggingface.co/owner/repo/blob/main/sub/file.gguf", Ref{Repo: "owner/repo", File: "sub/file.gguf"}, "owner/repo:sub/file.gguf"},
	{"https://huggingface.co/owner/repo/resolve/abc1234/file.gguf?download=true", Ref{Repo: "owner/repo", Revision: "abc1234", File: "file.gguf"}, "owner/repo@abc1234:file.gguf"},
	{"https://huggingface.co/owner/repo/resolve/refs%2Fpr%2F1/a%20b.gguf", Ref{Repo: "owner/repo", Revision: "refs/pr/1", File: "a b.gguf"}, "owner/repo@refs/pr/1:a b.gguf"},
	{"https://huggingface.co/owner/repo/blob/refs/pr/1/a.gguf", Ref{Repo: "owner/repo", Revision: "refs/pr/1", File: "a.gguf"}, "owner/repo@refs/pr/1:a.gguf"},
	{"https://Example.com/models/x.gguf?sig=1#part", Ref{URL: "https://example.com/models/x.gguf?sig=1"}, "https://example.com/models/x.gguf?sig=1"},
	{"http://127.0.0.1:8080/x.gguf", Ref{URL: "http://127.0.0.1:8080/x.gguf"}, ""},
}

func TestParseRef(t *testing.T) {
	for _, test := range readable {
		got, err := ParseRef(test.text)
		require.NoError(t, err, test.text)
		require.Equal(t, test.want, got, test.text)
		if test.canonical == "" {
			test.canonical = test.text
		}
		require.Equal(t, test.canonical, got.String())
	}
}

var unreadable = []string{
	"", " ", "repo", "owner/", "/repo", "owner/repo/", "owner//repo", "owner/repo/file.gguf", "owner/repo:", "owner/repo@", "owner/repo@:Q4_0",
	"../repo", "owner/..", "./repo", "owner/.repo", "owner/-repo", "owner/repo-", "owner/repo.", "owner/re--po", "owner/re..po", "owner/repo.git", "owner/repo.GIT",
	"owner/re po", "owner/répo", "owner/re\x00po", "owner/" + strings.Repeat("a", 97), "datasets/repo", "spaces/x",
	"owner/repo:../x.gguf", "owner/repo:/etc/x.gguf", "owner/repo:a//b.gguf", "owner/repo:a/./b.gguf", `owner/repo:a\b.gguf`, "owner/repo:a\x1b[2J.gguf",
	"owner/repo:.gguf/x", "owner/repo:Q4 K", "owner/repo:-Q4", "owner/repo:Q4/K", "owner/repo:" + strings.Repeat("Q", 65),
	"owner/repo@../x", "owner/repo@-x", "owner/repo@a..b", "owner/repo@a//b", "owner/repo@x.lock", "owner/repo@.x/y", "owner/repo@x/.y", "owner/repo@a b",
	"https://huggingface.co/", "https://huggingface.co/owner", "https://huggingface.co/owner/repo/blob/main", "https://huggingface.co/owner/repo/blob/main/README.md",
	"https://huggingface.co/owner/repo/tree/main/folder", "https://huggingface.co/owner/repo/discussions/1/x", "https://huggingface.co/datasets/owner/repo/resolve/main/x.gguf",
	"https://huggingface.co/owner/repo/resolve/main/..%2F..%2Fx.gguf", "https://huggingface.co/owner/repo/resolve/main/%zz.gguf",
	"ftp://example.com/x.gguf", "file:///x.gguf", "http://example.com/x.gguf", "https:///x.gguf", "https://example.com/", "https://example.com/x.bin",
	"https://user:password@example.com/x.gguf", "https://example.com/a/../x.gguf", "https://example.com/..%2fx.gguf", "https://exa mple.com/x.gguf", "https:x.gguf",
}

func TestParseRefRefuses(t *testing.T) {
	for _, text := range unreadable {
		got, err := ParseRef(text)
		require.Equal(t, BadRef, KindOf(err), "%q is %+v", text, got)
		var e *Error
		require.ErrorAs(t, err, &e)
		require.NotEmpty(t, e.Message)
		require.NotEmpty(t, e.Hint)
		require.Less(t, len(e.Public()), 700)
		require.NotContains(t, e.Public(), "password@")
	}
}

// Whatever is read is safe, and its canonical form means the same.
func FuzzParseRef(f *testing.F) {
	for _, r := range readable {
		f.Add(r.text)
	}
	for _, text := range unreadable {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		r, err := ParseRef(text)
		if err != nil {
			require.Equal(t, BadRef, KindOf(err))
			return
		}
		again, err := ParseRef(r.String())
		require.NoError(t, err, r.String())
		require.Equal(t, r, again)
		if r.URL != "" {
			require.Empty(t, r.Repo)
			u, err := url.Parse(r.URL)
			require.NoError(t, err)
			require.Nil(t, u.User)
			require.NotEmpty(t, u.Host)
			return
		}
		require.True(t, validID(r.Repo))
		for _, text := range []string{r.Repo, r.Revision, r.File, r.Quant} {
			for segment := range strings.SplitSeq(text, "/") {
				require.NotContains(t, []string{".", ".."}, segment)
			}
			require.NotContains(t, text, "\x00")
		}
		require.True(t, r.File == "" || r.Quant == "")
	})
}
