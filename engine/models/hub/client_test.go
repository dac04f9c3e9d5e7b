package hub

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"samovar/engine/models/hub/hubtest"
)

const id = "owner/repo"

func client(t *testing.T, o Options) *Client {
	c := New(o)
	t.Cleanup(c.Close)
	return c
}

// golden are answers as of the real Hub.
func golden(t testing.TB, name string) []byte {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", name))
	require.NoError(t, err)
	return text
}

func TestTheRealAnswerAboutARepo(t *testing.T) {
	var m model
	require.NoError(t, json.Unmarshal(golden(t, "model.json"), &m))
	got, err := m.repo()
	require.NoError(t, err)
	want := Repo{
		ID: "bartowski/Qwen_Qwen3-1.7B-GGUF", Commit: "dcb19155b962dbb6389f4691a982043a8e651022",
		Licence: "apache-2.0", Downloads: 2480, Likes: 7, Tags: m.Tags,
		Files: []File{
			{Path: ".gitattributes", Size: 3247},
			{Path: "Qwen_Qwen3-1.7B-Q4_K_M.gguf", Size: 1282439584, SHA256: "72c5c3cb38fa32d5256e2fe30d03e7a64c6c79e668ad84057e3bd66e250b24fb"},
			{Path: "Qwen_Qwen3-1.7B-bf16/Qwen_Qwen3-1.7B-bf16-00001-of-00002.gguf", Size: 3000000000, SHA256: "82c5c3cb38fa32d5256e2fe30d03e7a64c6c79e668ad84057e3bd66e250b24fb"},
			{Path: "Qwen_Qwen3-1.7B-bf16/Qwen_Qwen3-1.7B-bf16-00002-of-00002.gguf", Size: 448505632, SHA256: "92c5c3cb38fa32d5256e2fe30d03e7a64c6c79e668ad84057e3bd66e250b24fb"},
			{Path: "README.md", Size: 11230},
		},
	}
	require.Equal(t, want, got)
	variants := Variants(got)
	require.Len(t, variants, 2)
	require.Equal(t, int64(3448505632), variants[1].Bytes)
	require.Equal(t, "https://huggingface.co/bartowski/Qwen_Qwen3-1.7B-GGUF/resolve/dcb19155b962dbb6389f4691a982043a8e651022/Qwen_Qwen3-1.7B-Q4_K_M.gguf",
		New(Options{}).URL(got, got.Files[1]))
	require.Equal(t, "https://mirror.org/hf/o/r/resolve/abc/a%20b/c%23%3F.gguf",
		New(Options{Endpoint: "mirror.org/hf/"}).URL(Repo{ID: "o/r", Commit: "abc"}, File{Path: "a b/c#?.gguf"}))
}

func TestTheRealAnswerToASearch(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		require.Equal(t, "/api/models", r.URL.Path)
		require.Equal(t, "direction=-1&filter=gguf&full=true&limit=5&search=gemma&sort=downloads", r.URL.RawQuery)
		_, _ = w.Write(golden(t, "search.json"))
	}))
	defer srv.Close()
	got, err := client(t, Options{Endpoint: srv.URL}).list(t.Context(), " gemma ", 5)
	require.NoError(t, err)
	require.Len(t, got, 2, "what has no owner is left out")
	require.True(t, got[0].Gated)
	require.Equal(t, "gemma", got[0].Licence)
	require.Equal(t, "Q4_0", Variants(got[0])[0].Quant)
	require.Equal(t, []File{{Path: "fine.gguf"}}, got[1].Files, "names that lead out are left out")
	require.Empty(t, got[1].Licence)
}

// The fake's answers have no field that the real ones lack.
func TestTheFakeIsLikeTheReal(t *testing.T) {
	h := hubtest.New(t)
	h.AddRepo(id, hubtest.Files{"m-Q4_K_M.gguf": hubtest.Text("x"), "README.md": hubtest.Text("y")})
	for question, answer := range map[string]string{"/revision/main?blobs=true": "model.json", "?full=true&filter=gguf": "search.json"} {
		path := "/api/models"
		if answer == "model.json" {
			path += "/" + id
		}
		resp, err := http.Get(h.URL() + path + question)
		require.NoError(t, err)
		fake, err := io.ReadAll(resp.Body)
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
		real := fields(t, golden(t, answer))
		real = append(real, "modelId", "disabled", "cardData", "pipeline_tag", "cardData.license", "cardData.pipeline_tag") // of some answers only
		for _, f := range fields(t, fake) {
			require.Contains(t, real, f, answer)
		}
	}
}

// fields lists a JSON text's, nested ones with dots.
func fields(t *testing.T, text []byte) []string {
	var v any
	require.NoError(t, json.Unmarshal(text, &v))
	var found []string
	var walk func(string, any)
	walk = func(at string, v any) {
		switch v := v.(type) {
		case map[string]any:
			for name, below := range v {
				found = append(found, at+name)
				walk(at+name+".", below)
			}
		case []any:
			for _, below := range v {
				walk(at, below)
			}
		}
	}
	walk("", v)
	return found
}

func TestRepo(t *testing.T) {
	h := hubtest.New(t)
	first := h.AddRepo(id, hubtest.Files{"m-Q4_K_M.gguf": hubtest.Generated(1, 5000), "README.md": hubtest.Text("hello")}, hubtest.Licence("mit"), hubtest.Popular(5, 2))
	h.Commit(id, "main", hubtest.Files{"m-Q8_0.gguf": hubtest.Generated(1, 9000)})
	h.CommitInGit(id, "refs/pr/1", hubtest.Files{"m-Q8_0.gguf": hubtest.Text("small")})
	c := client(t, Options{Endpoint: h.URL() + "/", UserAgent: "samovar/1"})

	r, err := c.Repo(t.Context(), id, "")
	require.NoError(t, err)
	require.Equal(t, []File{{Path: "m-Q8_0.gguf", Size: 9000, SHA256: h.SHA256(id, "m-Q8_0.gguf")}}, r.Files)
	require.Equal(t, "mit", r.Licence)
	require.Equal(t, 5, r.Downloads)
	require.Equal(t, "samovar/1", h.Requests()[0].Agent)

	r, err = c.Repo(t.Context(), id, first)
	require.NoError(t, err)
	require.Equal(t, first, r.Commit)
	require.Len(t, r.Files, 2)
	require.Empty(t, r.Files[0].SHA256)
	files, quant, err := Pick(r, Ref{})
	require.NoError(t, err)
	require.Equal(t, "Q4_K_M", quant)
	resp, err := http.Get(c.URL(r, files[0]))
	require.NoError(t, err)
	content, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	require.Len(t, content, 5000)

	r, err = c.Repo(t.Context(), id, "refs/pr/1")
	require.NoError(t, err)
	require.Equal(t, []File{{Path: "m-Q8_0.gguf", Size: 5}}, r.Files)

	h.Rename(id, "new/name")
	r, err = c.Repo(t.Context(), id, "")
	require.NoError(t, err)
	require.Equal(t, "new/name", r.ID)
}

// refused requires an error's kind, and what it says.
func refused(t *testing.T, err error, kind Kind, says string) *Error {
	t.Helper()
	var e *Error
	require.ErrorAs(t, err, &e)
	require.Equal(t, kind, e.Kind, e.Error())
	require.Contains(t, e.Public(), says)
	require.NotContains(t, e.Error(), "hf_")
	return e
}

func TestRepoThatIsNotThere(t *testing.T) {
	h := hubtest.New(t)
	h.AddRepo("bartowski/Llama-3.2-1B-GGUF", hubtest.Files{"m-Q4_K_M.gguf": hubtest.Text("x")})
	h.AddRepo("a/private", hubtest.Files{"m-Q4_K_M.gguf": hubtest.Text("x")}, hubtest.Private())
	h.Accept("hf_some")
	stranger, account := client(t, Options{Endpoint: h.URL()}), client(t, Options{Endpoint: h.URL(), Token: "hf_some"})

	_, err := stranger.Repo(t.Context(), "meta/Llama-3.2-1B", "")
	e := refused(t, err, NotFound, "meta/Llama-3.2-1B isn't on the Hub, or it's private. Check its name. If it's private, set HF_TOKEN or put the token into ~/.cache/huggingface/token. There is bartowski/Llama-3.2-1B-GGUF.")
	require.Equal(t, http.StatusUnauthorized, e.Status)
	_, err = account.Repo(t.Context(), "meta/Llama-3.2-1B", "")
	e = refused(t, err, NotFound, "meta/Llama-3.2-1B isn't on the Hub, or it's private. Check its name. There is bartowski/Llama-3.2-1B-GGUF.")
	require.Equal(t, http.StatusNotFound, e.Status)
	_, err = account.Repo(t.Context(), "a/private", "")
	refused(t, err, NotFound, "a/private isn't on the Hub")
	before := h.Count(hubtest.API, "")
	_, err = stranger.Repo(t.Context(), "bartowski/Llama-3.2-1B-GGUF", "v9")
	refused(t, err, NotFound, `bartowski/Llama-3.2-1B-GGUF has no revision "v9".`)
	require.Equal(t, before+1, h.Count(hubtest.API, ""), "others aren't looked for")
	_, err = stranger.Repo(t.Context(), "../x", "")
	refused(t, err, BadRef, "")
	_, err = stranger.Repo(t.Context(), id, "../x")
	refused(t, err, BadRef, "")
	require.Equal(t, before+1, h.Count(hubtest.API, ""), "nothing is asked")
}

func TestGated(t *testing.T) {
	h := hubtest.New(t)
	h.AddRepo(id, hubtest.Files{"m-Q4_K_M.gguf": hubtest.Text("x")}, hubtest.Gated())
	h.Accept("hf_in", id)
	h.Accept("hf_out")
	for _, test := range []struct {
		token, says string
		lists       bool
	}{
		{"", "owner/repo is gated. Accept its licence at " + h.URL() + "/owner/repo, then set HF_TOKEN or put the token into", true},
		{"hf_out", "owner/repo is gated. Accept its licence at " + h.URL() + "/owner/repo, with the account that the token belongs to", true},
		{"hf_bad", "owner/repo is gated, and the Hub doesn't accept the token. Make another at " + h.URL() + "/settings/tokens", false},
		{"hf_in", "", true},
	} {
		c := client(t, Options{Endpoint: h.URL(), Token: test.token})
		r, err := c.Repo(t.Context(), id, "")
		if test.lists {
			require.NoError(t, err)
			require.True(t, r.Gated)
		} else {
			refused(t, err, Gated, "The Hub doesn't accept the token.")
		}
		err = c.Access(t.Context(), id)
		if test.says == "" {
			require.NoError(t, err)
		} else {
			refused(t, err, Gated, test.says)
		}
	}
	refused(t, client(t, Options{Endpoint: h.URL()}).Access(t.Context(), "x"), BadRef, "")
	h.Misbehave(hubtest.API, id, 1, hubtest.Status(http.StatusForbidden))
	_, err := client(t, Options{Endpoint: h.URL()}).Repo(t.Context(), id, "")
	refused(t, err, Gated, "owner/repo is gated.")
}

func TestSearch(t *testing.T) {
	h := hubtest.New(t)
	h.AddRepo("a/Llama-GGUF", hubtest.Files{"m-Q4_K_M.gguf": hubtest.Generated(1, 4000), "m-Q8_0-00001-of-00002.gguf": hubtest.Generated(2, 6000), "m-Q8_0-00002-of-00002.gguf": hubtest.Generated(3, 2000), "mmproj-F16.gguf": hubtest.Text("x")}, hubtest.Popular(9, 0))
	h.AddRepo("b/llama-gguf", hubtest.Files{"m-Q4_0.gguf": hubtest.Generated(1, 3000)}, hubtest.Popular(10, 0), hubtest.Gated())
	h.AddRepo("c/llama", hubtest.Files{"m.safetensors": hubtest.Text("x")}, hubtest.Popular(11, 0))
	h.AddRepo("d/qwen", hubtest.Files{"m-Q4_0.gguf": hubtest.Text("x")})
	c := client(t, Options{Endpoint: h.URL()})

	got, err := c.Search(t.Context(), "llama", 10)
	require.NoError(t, err)
	require.Len(t, got, 2)
	require.Equal(t, "b/llama-gguf", got[0].ID)
	require.True(t, got[0].Gated)
	require.Equal(t, int64(3000), Variants(got[0])[0].Bytes)
	variants := Variants(got[1])
	require.Len(t, variants, 2)
	require.Equal(t, "Q4_K_M", variants[0].Quant)
	require.Equal(t, int64(8000), variants[1].Bytes)

	got, err = c.Search(t.Context(), "", 2)
	require.NoError(t, err)
	require.Len(t, got, 2)
	got, err = c.Search(t.Context(), "nothing like it", 0)
	require.NoError(t, err)
	require.Empty(t, got)
	_, err = c.Search(t.Context(), strings.Repeat("é", 500), 1000)
	require.NoError(t, err)

	h.Misbehave(hubtest.API, "a/Llama-GGUF", hubtest.Always, hubtest.Status(http.StatusInternalServerError))
	got, err = c.Search(t.Context(), "llama", 10)
	require.NoError(t, err, "one without sizes is better than none at all")
	require.Equal(t, "a/Llama-GGUF", got[1].ID)
	require.Zero(t, Variants(got[1])[0].Bytes)
	require.Equal(t, int64(3000), got[0].Files[0].Size)

	h.Misbehave(hubtest.API, "", 1, hubtest.RateLimit(time.Minute))
	_, err = c.Search(t.Context(), "llama", 10)
	refused(t, err, RateLimited, "Try again in 1m0s.")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = c.Search(ctx, "llama", 10)
	require.ErrorIs(t, err, context.Canceled)
	require.Empty(t, KindOf(err), "who gave up knows why")
}

// The Hub is asked for few sizes at once, and not again once it has had enough.
func TestSearchIsModest(t *testing.T) {
	h := hubtest.New(t)
	for i := range 40 {
		h.AddRepo("a/m"+strings.Repeat("x", i+1), hubtest.Files{"m-Q4_0.gguf": hubtest.Text("x")})
	}
	for i := range 40 {
		h.Misbehave(hubtest.API, "a/m"+strings.Repeat("x", i+1), hubtest.Always, hubtest.RateLimit(time.Second))
	}
	got, err := client(t, Options{Endpoint: h.URL()}).Search(t.Context(), "", 50)
	require.NoError(t, err)
	require.Len(t, got, 40)
	require.LessOrEqual(t, h.Count(hubtest.API, ""), 1+2*atOnce)
}

func TestBadAnswers(t *testing.T) {
	for name, test := range map[string]struct {
		how  hubtest.Trouble
		kind Kind
		says string
	}{
		"a hotel's page":          {hubtest.HTML(), BadAnswer, "If this network has a log-in page, log in"},
		"no JSON":                 {hubtest.Garbage("{"), BadAnswer, "isn't the Hub's"},
		"other JSON":              {hubtest.Garbage(`{"id":7}`), BadAnswer, "isn't the Hub's"},
		"null":                    {hubtest.Garbage("null"), BadAnswer, "isn't the Hub's"},
		"no commit":               {hubtest.Garbage(`{"id":"owner/repo"}`), BadAnswer, "isn't the Hub's"},
		"a commit that leads out": {hubtest.Garbage(`{"id":"owner/repo","sha":"../../x"}`), BadAnswer, "isn't the Hub's"},
		"an id that leads out":    {hubtest.Garbage(`{"id":"../repo","sha":"` + strings.Repeat("a", 40) + `"}`), BadAnswer, "isn't the Hub's"},
		"deep":                    {hubtest.Garbage(strings.Repeat("[", 100_000)), BadAnswer, "isn't the Hub's"},
		"too long":                {hubtest.Garbage(`"` + strings.Repeat("x", longestAnswer) + `"`), BadAnswer, "isn't the Hub's"},
		"endless redirects":       {hubtest.Endless(), BadAnswer, "isn't the Hub's"},
		"redirected away":         {hubtest.Elsewhere("http://localhost:1/x"), BadAnswer, "isn't the Hub's"},
		"a status of its own":     {hubtest.Status(http.StatusTeapot), BadAnswer, "answered 418 I'm a teapot to a question about owner/repo."},
		"in trouble":              {hubtest.Status(http.StatusServiceUnavailable), Unreachable, "has a problem (503 Service Unavailable). Try again later."},
		"dropped":                 {hubtest.Drop(), Unreachable, "can't be reached"},
		"rate limit":              {hubtest.RateLimit(90 * time.Second), RateLimited, "Try again in 1m30s. With a token the limits are higher"},
		"rate limit's policy":     {hubtest.RateLimitPolicy(7 * time.Second), RateLimited, "Try again in 7s."},
		"a long rate limit":       {hubtest.RateLimit(1000 * time.Hour), RateLimited, "Try again in 1h0m0s."},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := hubtest.New(t)
			h.AddRepo(id, hubtest.Files{"m-Q4_0.gguf": hubtest.Text("x")})
			h.Misbehave(hubtest.API, "", hubtest.Always, test.how)
			c := client(t, Options{Endpoint: h.URL()})
			_, err := c.Repo(t.Context(), id, "")
			e := refused(t, err, test.kind, test.says)
			require.Equal(t, test.kind == RateLimited, e.RetryAfter > 0)
			_, err = c.Search(t.Context(), "x", 5)
			if name != "null" { // no models, so it is
				require.Error(t, err)
			}
			require.Empty(t, c.Similar(t.Context(), id))
		})
	}
}

func TestSilence(t *testing.T) {
	h := hubtest.New(t)
	h.AddRepo(id, hubtest.Files{"m-Q4_0.gguf": hubtest.Text("x")})
	h.Misbehave(hubtest.API, "", hubtest.Always, hubtest.Silent())
	c := client(t, Options{Endpoint: h.URL()})
	why := errors.New("the user closed the window")
	ctx, cancel := context.WithTimeoutCause(t.Context(), 50*time.Millisecond, why)
	defer cancel()
	_, err := c.Repo(ctx, id, "")
	require.ErrorIs(t, err, why)
	impatient := client(t, Options{Endpoint: h.URL(), Client: &http.Client{Timeout: 50 * time.Millisecond}})
	_, err = impatient.Repo(t.Context(), id, "")
	refused(t, err, Unreachable, "didn't answer within")
}

// The token stays with the Hub: not for another port of its host, nor for another host.
func TestTheTokenStaysAtHome(t *testing.T) {
	var leaked string
	other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		leaked += r.Header.Get("Authorization")
	}))
	defer other.Close()
	h := hubtest.New(t)
	h.AddRepo(id, hubtest.Files{"m-Q4_0.gguf": hubtest.Text("x")})
	h.Accept("hf_secret")
	c := client(t, Options{Endpoint: h.URL(), Token: " hf_secret\n"})
	for _, there := range []string{other.URL, strings.Replace(other.URL, "127.0.0.1", "localhost", 1), strings.Replace(h.URL(), "http:", "https:", 1)} {
		h.Misbehave(hubtest.API, id, 1, hubtest.Elsewhere(there))
		_, err := c.Repo(t.Context(), id, "")
		refused(t, err, BadAnswer, "isn't the Hub's")
	}
	require.Empty(t, leaked)
	h.Rename(id, "new/name")
	_, err := c.Repo(t.Context(), id, "")
	require.NoError(t, err)
	for _, r := range h.Requests() {
		require.Equal(t, "hf_secret", r.Token)
	}
}

func TestEndpoints(t *testing.T) {
	require.Equal(t, "https://huggingface.co", New(Options{}).Endpoint())
	require.Equal(t, "https://hf-mirror.com", New(Options{Endpoint: "hf-mirror.com/"}).Endpoint())
	for _, bad := range []string{"ftp://x", "https://", "http://a b", "https://user:hf_pw@x.org"} {
		c := client(t, Options{Endpoint: bad})
		_, err := c.Search(t.Context(), "x", 1)
		refused(t, err, Unreachable, "Set HF_ENDPOINT to an https address")
	}
	c := client(t, Options{Endpoint: "http://127.0.0.1:1"})
	_, err := c.Repo(t.Context(), id, "")
	refused(t, err, Unreachable, "127.0.0.1:1 can't be reached. Check the network and the proxy")
}

func TestRetryAfter(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for _, test := range []struct {
		header, value string
		want          time.Duration
	}{
		{"Retry-After", "120", 2 * time.Minute},
		{"Retry-After", "-5", 0},
		{"Retry-After", "99999999999999999999", 0},
		{"Retry-After", "9999999", time.Hour},
		{"Retry-After", "Fri, 02 Jan 2026 03:05:05 GMT", time.Minute},
		{"Retry-After", "Fri, 02 Jan 2026 03:03:05 GMT", 0},
		{"Retry-After", "soon", 0},
		{"RateLimit", `"api";r=0;t=55`, 55 * time.Second},
		{"RateLimit", `"api"; r = 0; t = 55`, 55 * time.Second},
		{"RateLimit", `"api";r=3;t=55`, 0},
		{"RateLimit", `"api";r=0;t=999999999`, time.Hour},
	} {
		require.Equal(t, test.want, retryAfter(http.Header{http.CanonicalHeaderKey(test.header): {test.value}}, now), test.value)
	}
}

func TestLicence(t *testing.T) {
	for _, test := range []struct{ card, want string }{
		{`{"license":"mit"}`, "mit"},
		{`{"license":["mit","gpl-3.0"]}`, "mit, gpl-3.0"},
		{`{"license":"other","license_name":"llama3.2"}`, "llama3.2"},
		{`{"license":"other"}`, "other"},
		{`{"license":7,"license_name":{}}`, "tagged"},
		{`[]`, "tagged"},
		{``, "tagged"},
	} {
		m := model{Card: json.RawMessage(test.card), Tags: []string{"gguf", "license:tagged"}}
		require.Equal(t, test.want, m.licence(), test.card)
	}
}

func TestErrors(t *testing.T) {
	cause := errors.New("cause")
	e := &Error{Kind: Gated, Message: "It is gated.", Hint: "Log in.", Err: cause}
	require.Equal(t, "It is gated. Log in.", e.Public())
	require.EqualError(t, e, "It is gated. Log in.: cause")
	require.ErrorIs(t, e, cause)
	require.Equal(t, Gated, KindOf(errors.Join(cause, e)))
	require.Empty(t, KindOf(cause))
	require.Equal(t, "X.", (&Error{Message: "X."}).Public())
}

// Whatever an answer holds, what is made of it is safe to use.
func FuzzAnswer(f *testing.F) {
	f.Add(golden(f, "model.json"), "Q4_K_M")
	f.Add([]byte(`{"id":"a/b","sha":"`+strings.Repeat("0", 40)+`","siblings":[{"rfilename":"m-00001-of-00002.gguf","size":9223372036854775807},{"rfilename":"m-00002-of-00002.gguf","size":9223372036854775807},{"rfilename":"x-00001-of-00002.gguf","size":-1,"lfs":{"size":-5,"sha256":"x"}},{"rfilename":"../y.gguf"}],"gated":"auto"}`), "")
	var several []json.RawMessage
	require.NoError(f, json.Unmarshal(golden(f, "search.json"), &several))
	for _, one := range several {
		f.Add([]byte(one), "q4_0")
	}
	f.Fuzz(func(t *testing.T, answer []byte, quant string) {
		var m model
		if json.Unmarshal(answer, &m) != nil {
			return
		}
		r, err := m.repo()
		if err != nil {
			return
		}
		require.True(t, validID(r.ID))
		for _, file := range r.Files {
			require.GreaterOrEqual(t, file.Size, int64(0))
			require.True(t, filepath.IsLocal(filepath.FromSlash(file.Path)), file.Path)
			require.True(t, file.SHA256 == "" || digestForm.MatchString(file.SHA256))
			address := New(Options{}).URL(r, file)
			_, err := http.NewRequest(http.MethodGet, address, nil)
			require.NoError(t, err, address)
		}
		all := Variants(r)
		for _, v := range all {
			require.GreaterOrEqual(t, v.Bytes, int64(0))
		}
		require.True(t, slices.IsSortedFunc(all, func(a, b Variant) int { return cmp.Compare(a.Bytes, b.Bytes) }))
		for _, ref := range []Ref{{}, {Quant: quant}, {File: quant}} {
			picked, _, err := Pick(r, ref)
			require.Equal(t, err != nil, len(picked) == 0)
			for _, file := range picked {
				require.True(t, isModel(file.Path))
			}
		}
		var again bytes.Buffer
		require.NoError(t, json.NewEncoder(&again).Encode(r))
	})
}
