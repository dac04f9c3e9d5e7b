package found

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

const (
	newCommit = "1111111111111111111111111111111111111111"
	oldCommit = "2222222222222222222222222222222222222222"
)

// hub writes a repo as huggingface_hub does: files by commit and name.
func hub(t testing.TB, dir, repo, main string, commits map[string]map[string]string) {
	at := filepath.Join(dir, "models--"+strings.ReplaceAll(repo, "/", "--"))
	files := map[string]string{"refs/main": main}
	for commit, snapshot := range commits {
		for name, content := range snapshot {
			blob := sum(content)
			files["blobs/"+blob] = content
			files["snapshots/"+commit+"/"+name] = "-> " + strings.Repeat("../", strings.Count(name, "/")) + "../../blobs/" + blob
		}
	}
	lay(t, at, files)
}

func hf(dir string) Places { return Places{HuggingFace: []string{dir}} }

func TestHuggingFace(t *testing.T) {
	dir := t.TempDir()
	q4, q8 := fake("four bits"), fake("eight bits")
	hub(t, dir, "bartowski/Llama-3.2-1B-Instruct-GGUF", newCommit, map[string]map[string]string{newCommit: {
		"Llama-3.2-1B-Instruct-Q4_K_M.gguf": q4,
		"Llama-3.2-1B-Instruct-Q8_0.gguf":   q8,
		"README.md":                         "# hello",
		"config.json":                       "{}",
	}})
	hub(t, dir, "openai/gpt-oss", newCommit, map[string]map[string]string{newCommit: {"model.safetensors": "weights"}})
	lay(t, dir, map[string]string{"version.txt": "1", ".locks/models--a--b/x.lock": "", "datasets--a--b/snapshots/1/x-Q8_0.gguf": fake("data")})

	models, problems := scan(t, dir, hf(dir))
	require.Empty(t, problems)
	require.Equal(t, []Model{{
		Name:     "bartowski/Llama-3.2-1B-Instruct-GGUF:Q4_K_M",
		Aliases:  []string{"bartowski/Llama-3.2-1B-Instruct-GGUF:Llama-3.2-1B-Instruct-Q4_K_M.gguf"},
		Origin:   HuggingFace,
		Path:     filepath.Join(dir, "models--bartowski--Llama-3.2-1B-Instruct-GGUF/snapshots", newCommit, "Llama-3.2-1B-Instruct-Q4_K_M.gguf"),
		Parts:    []string{filepath.Join(dir, "models--bartowski--Llama-3.2-1B-Instruct-GGUF/snapshots", newCommit, "Llama-3.2-1B-Instruct-Q4_K_M.gguf")},
		Bytes:    int64(len(q4)),
		Modified: models[0].Modified,
		SHA256:   sum(q4),
	}}, models[:1])
	require.True(t, old.Equal(models[0].Modified))
	require.Equal(t, []string{"bartowski/Llama-3.2-1B-Instruct-GGUF:Q4_K_M", "bartowski/Llama-3.2-1B-Instruct-GGUF:Q8_0"}, names(models))
}

func TestHuggingFaceNames(t *testing.T) {
	dir := t.TempDir()
	hub(t, dir, "a/one", newCommit, map[string]map[string]string{newCommit: {"one.q5_k_s.gguf": fake("1")}})
	hub(t, dir, "a/two", newCommit, map[string]map[string]string{newCommit: {
		"small-Q8_0.gguf": fake("2"), "sub/big-Q8_0.gguf": fake("3"), "big-BF16.gguf": fake("4"), "plain.gguf": fake("5"),
	}})
	hub(t, dir, "gpt2", newCommit, map[string]map[string]string{newCommit: {"gpt2-F16.gguf": fake("6")}})
	models, problems := scan(t, dir, hf(dir))
	require.Empty(t, problems)
	require.Equal(t, []string{
		"a/one:Q5_K_S", "a/two:BF16", "a/two:plain.gguf", "a/two:small-Q8_0.gguf", "a/two:sub/big-Q8_0.gguf", "gpt2:F16",
	}, names(models))
	require.Equal(t, []string{"a/one", "a/one:one.q5_k_s.gguf"}, models[0].Aliases)
	require.Equal(t, []string{"a/two:big-BF16.gguf"}, models[1].Aliases)
	require.Empty(t, models[3].Aliases)
}

// What several snapshots have is listed once, from refs/main's; what only an older one
// has is listed, too.
func TestHuggingFaceSnapshots(t *testing.T) {
	dir := t.TempDir()
	hub(t, dir, "a/b", newCommit+"\n", map[string]map[string]string{
		newCommit: {"m-Q4_0.gguf": fake("same"), "m-Q8_0.gguf": fake("new"), "renamed-Q6_K.gguf": fake("renamed")},
		oldCommit: {"m-Q4_0.gguf": fake("same"), "m-Q8_0.gguf": fake("old"), "m-Q5_0.gguf": fake("only here"), "m-Q6_K.gguf": fake("renamed")},
	})
	models, problems := scan(t, dir, hf(dir))
	require.Empty(t, problems)
	require.Equal(t, []string{"a/b:Q4_0", "a/b:Q5_0", "a/b:Q6_K", "a/b:Q8_0"}, names(models))
	require.Contains(t, models[0].Path, newCommit)
	require.Contains(t, models[1].Path, oldCommit)
	require.Contains(t, models[2].Path, "renamed-Q6_K.gguf")
	require.Equal(t, []string{"a/b:m-Q6_K.gguf", "a/b:renamed-Q6_K.gguf"}, models[2].Aliases)
	require.Equal(t, sum(fake("new")), models[3].SHA256)

	// Without a ref that helps, the latest snapshot is the newest.
	for _, main := range []string{"", "3333333333333333333333333333333333333333", strings.Repeat("x", 5000)} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, "models--a--b/refs/main"), []byte(main), 0o644))
		for newest, content := range map[string]string{newCommit: "new", oldCommit: "old"} {
			for commit, at := range map[string]time.Time{newCommit: old, oldCommit: old, newest: old.Add(time.Hour)} {
				require.NoError(t, os.Chtimes(filepath.Join(dir, "models--a--b/snapshots", commit), at, at))
			}
			models, problems = scan(t, dir, hf(dir))
			require.Empty(t, problems)
			require.Equal(t, sum(fake(content)), models[3].SHA256)
		}
	}
}

func TestHuggingFaceWithoutLinks(t *testing.T) {
	dir := t.TempDir()
	lay(t, dir, map[string]string{
		"models--a--b/refs/main":                                newCommit,
		"models--a--b/snapshots/" + newCommit + "/m-Q8_0.gguf":  fake("copy"),
		"models--a--b/blobs/" + sum("x") + ".incomplete":        "GGU",
		"models--a--b/blobs/" + sum("x") + ".0a1b2c.incomplete": "GG",
	})
	models, problems := scan(t, dir, hf(dir))
	require.Empty(t, problems)
	require.Equal(t, []string{"a/b:Q8_0"}, names(models))
	require.Empty(t, models[0].SHA256)
}

func TestHuggingFaceSplit(t *testing.T) {
	dir := t.TempDir()
	hub(t, dir, "a/b", newCommit, map[string]map[string]string{
		newCommit: {
			"Q4_K_M/m-Q4_K_M-00001-of-00002.gguf": fake("one"), "Q4_K_M/m-Q4_K_M-00002-of-00002.gguf": fake("two, longer"),
			"m-Q8_0-00002-of-00003.gguf": fake("three"), "m-Q8_0-00003-of-00003.gguf": fake("four"),
			"m-Q6_K-00001-of-00002.gguf": fake("five"),
			"m-Q2_K-00003-of-00002.gguf": fake("no such part"),
		},
		oldCommit: {"m-Q6_K-00001-of-00002.gguf": fake("five"), "m-Q6_K-00002-of-00002.gguf": fake("six")},
	})
	models, problems := scan(t, dir, hf(dir))
	require.Equal(t, []string{"a/b:Q4_K_M", "a/b:Q6_K"}, names(models))
	require.Len(t, models[0].Parts, 2)
	require.True(t, strings.HasSuffix(models[0].Path, "Q4_K_M/m-Q4_K_M-00001-of-00002.gguf"))
	require.Equal(t, int64(len(fake("one")+fake("two, longer"))), models[0].Bytes)
	require.Empty(t, models[0].SHA256)
	require.Contains(t, models[1].Path, oldCommit, "complete only there")
	require.Equal(t, []string{
		"m-Q2_K-00003-of-00002.gguf: Its parts do not fit together: one of 2 is called number 3.",
		"m-Q8_0-00002-of-00003.gguf: It has 2 of 3 parts: part 1 is missing. Download the model again.",
	}, told(filepath.Join(dir, "models--a--b/snapshots", newCommit), problems))
}

func TestBesideTheModel(t *testing.T) {
	dir := t.TempDir()
	hub(t, dir, "a/b", newCommit, map[string]map[string]string{
		newCommit: {
			"x/m-Q4_0.gguf": fake("1"), "x/mmproj-F32.gguf": fake("p1"), "x/mmproj-F16.gguf": fake("p2"), "mmproj-F16.gguf": fake("p3"),
			"y/m-Q8_0.gguf": fake("2"), "chat_template.jinja": "{{ root }}", "x/chat_template.jinja": "{{ x }}",
			"imatrix.gguf": fake("i"), "m-imatrix-Q4_0.gguf": fake("j"), "mtp-m-Q8_0.gguf": fake("k"),
		},
		oldCommit: {"m-Q5_0.gguf": fake("3")},
	})
	models, problems := scan(t, dir, hf(dir))
	require.Empty(t, problems)
	require.Equal(t, []string{"a/b:Q4_0", "a/b:Q5_0", "a/b:Q8_0"}, names(models))
	snapshot := filepath.Join(dir, "models--a--b/snapshots", newCommit)
	require.Equal(t, filepath.Join(snapshot, "x/mmproj-F16.gguf"), models[0].MMProj)
	require.Equal(t, "{{ x }}", models[0].Template)
	require.Equal(t, filepath.Join(snapshot, "mmproj-F16.gguf"), models[1].MMProj, "of another commit")
	require.Equal(t, filepath.Join(snapshot, "mmproj-F16.gguf"), models[2].MMProj)
	require.Equal(t, "{{ root }}", models[2].Template)
}

func TestBrokenHuggingFace(t *testing.T) {
	dir, outside := t.TempDir(), t.TempDir()
	lay(t, outside, map[string]string{"secret.gguf": fake("secret"), "repo/snapshots/1/m-Q8_0.gguf": fake("elsewhere")})
	hub(t, dir, "a/good", newCommit, map[string]map[string]string{newCommit: {"m-Q8_0.gguf": fake("good")}})
	lay(t, dir, map[string]string{
		"models--a--blob/snapshots/1/m-Q8_0.gguf":    "-> ../../blobs/" + sum("gone"),
		"models--a--escape/snapshots/1/m-Q8_0.gguf":  "-> " + outside + "/secret.gguf",
		"models--a--escape/snapshots/1/m-Q4_0.gguf":  "-> ../../../../../../../../../.." + outside + "/secret.gguf",
		"models--a--loop/snapshots/1/m-Q8_0.gguf":    "-> m-Q8_0.gguf",
		"models--a--html/snapshots/1/m-Q8_0.gguf":    "<html>",
		"models--a--none/snapshots/1/m-Q8_0.gguf":    "",
		"models--a--folder/snapshots/1/m.gguf/x":     "a folder named like a file",
		"models--a--linked":                          "-> " + outside + "/repo",
		"models--a--snapshots/snapshots":             "-> " + outside + "/repo/snapshots",
		"models--a--file":                            "a file where a folder should be",
		"models--a--files/snapshots":                 "the same",
		"models--a--empty/refs/main":                 newCommit,
		"models--a--mac/snapshots/1/._m-Q8_0.gguf":   "what macOS leaves on other disks",
		"models--a--inside/blobs/real":               fake("inside"),
		"models--a--inside/snapshots/1/m-Q8_0.gguf":  "-> " + dir + "/models--a--inside/blobs/real",
		"models--a--pretend/snapshots/1/mmproj.gguf": "no projector",
		"models--a--pretend/snapshots/1/m-Q8_0.gguf": fake("with a broken projector"),
	})
	models, problems := scan(t, dir, hf(dir))
	require.Equal(t, []string{"a/good:Q8_0", "a/inside:Q8_0", "a/pretend:Q8_0"}, names(models))
	require.Empty(t, models[2].MMProj)
	require.ElementsMatch(t, []string{
		"models--a--blob/snapshots/1/m-Q8_0.gguf: It is a link to a file that is not there: it was not downloaded completely, or was deleted. Download it again.",
		"models--a--escape/snapshots/1/m-Q8_0.gguf: It is a link that leads out of the folder, which is refused. Put the file itself here.",
		"models--a--escape/snapshots/1/m-Q4_0.gguf: It is a link that leads out of the folder, which is refused. Put the file itself here.",
		"models--a--loop/snapshots/1/m-Q8_0.gguf: It cannot be read (EvalSymlinks: too many links).",
		"models--a--html/snapshots/1/m-Q8_0.gguf: It is not in the GGUF format. Download it again, or choose a model in that format.",
		"models--a--none/snapshots/1/m-Q8_0.gguf: It is not in the GGUF format. Download it again, or choose a model in that format.",
		"models--a--linked: " + linkedFolder,
		"models--a--snapshots/snapshots: " + linkedFolder,
		"models--a--files/snapshots: It cannot be read (not a directory).",
	}, told(dir, problems))
}
