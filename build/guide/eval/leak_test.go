package eval

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// The held-out questions are held out: of those with four words or more,
// nearly none stands in the text that the guide is trained on. A corpus is
// thousands of phrasings, so a few can meet by accident.
//
// Read are all text files of build/guide but this folder and runs/, and what
// GUIDE_CORPUS names (files, separated like PATH), for a corpus that is
// generated and not in the repository.
func TestNotInCorpus(t *testing.T) {
	const mostLeaked = 0.03
	corpus := map[string]string{} // phrasing → file
	files, lines := 0, []string{}
	for _, path := range corpusFiles(t) {
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		files++
		for _, p := range phrasings(string(data)) {
			corpus[p] = path
			lines = append(lines, p)
		}
	}
	all := " " + strings.Join(lines, " \n ") + " "
	checked, contained := 0, 0
	var leaked []string
	for _, q := range Heldout().Questions {
		n := Normalise(q.Text)
		if len(strings.Fields(n)) < 4 {
			continue
		}
		checked++
		if path, ok := corpus[n]; ok {
			leaked = append(leaked, q.ID+" "+q.Text+" ("+filepath.Base(path)+")")
		} else if strings.Contains(all, " "+n+" ") {
			contained++
		}
	}
	t.Logf("%d files, %d different phrasings; of %d questions %d leaked, %d more are part of a longer text: %q",
		files, len(corpus), checked, len(leaked), contained, leaked)
	if float64(len(leaked)) > mostLeaked*float64(checked) {
		t.Errorf("%d of %d held-out questions are in the corpus: %q", len(leaked), checked, leaked)
	}
}

func corpusFiles(t *testing.T) []string {
	t.Helper()
	var paths []string
	err := filepath.WalkDir("..", func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if e.IsDir() {
			if slices.Contains([]string{"../eval", "../runs", "../__pycache__"}, filepath.ToSlash(path)) {
				return filepath.SkipDir
			}
			return nil
		}
		if slices.Contains([]string{".json", ".jsonl", ".txt", ".tsv", ".csv", ".md", ".py", ".yaml", ".yml"}, filepath.Ext(path)) {
			paths = append(paths, path)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return append(paths, filepath.SplitList(os.Getenv("GUIDE_CORPUS"))...)
}

var (
	quoted    = regexp.MustCompile(`"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*'|` + "`[^`\n]*`")
	separator = regexp.MustCompile(`\||\t|\\n`)
)

// phrasings returns, normalised, the lines of a file of any format, the parts
// of lines between separators, and everything in quotes.
func phrasings(text string) []string {
	seen := map[string]bool{}
	add := func(s string) {
		if n := Normalise(s); n != "" {
			seen[n] = true
		}
	}
	for _, line := range strings.Split(text, "\n") {
		add(line)
		for _, part := range separator.Split(line, -1) {
			add(part)
		}
		for _, q := range quoted.FindAllString(line, -1) {
			add(strings.ReplaceAll(q[1:len(q)-1], `\`, ""))
		}
	}
	out := make([]string, 0, len(seen))
	for p := range seen {
		out = append(out, p)
	}
	return out
}

func TestPhrasings(t *testing.T) {
	text := "{\"id\": \"pull\", \"q\": [\"How do I get a model?\", \"what's a \\\"model\\\"\"],\nplain question here|another one?\nsay('it is so')\n# intent: pull"
	got := phrasings(text)
	for _, want := range []string{"how do i get a model", "whats a model", "plain question here", "another one", "it is so"} {
		if !slices.Contains(got, want) {
			t.Errorf("%q not found in %q", want, got)
		}
	}
}
