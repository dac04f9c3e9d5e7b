package found

import (
	"path"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestQuantOf(t *testing.T) {
	for name, want := range map[string]string{
		"Llama-3.2-1B-Instruct-Q4_K_M.gguf":           "Q4_K_M",
		"qwen2.5-0.5b-instruct-q4_k_m.gguf":           "Q4_K_M",
		"qwen2.5-0.5b-instruct-fp16.gguf":             "FP16",
		"Llama-1B.Q5_K_S.gguf":                        "Q5_K_S",
		"Qwen3-30B-A3B-UD-Q4_K_XL.gguf":               "UD-Q4_K_XL",
		"Qwen3-UD-IQ1_S.gguf":                         "UD-IQ1_S",
		"UD-Q2_K_XL/m-UD-Q2_K_XL-00001-of-00003.gguf": "UD-Q2_K_XL",
		"m-IQ3_XS.gguf":                               "IQ3_XS",
		"m-IQ2_XXS.gguf":                              "IQ2_XXS",
		"m-IQ4_NL.gguf":                               "IQ4_NL",
		"m-Q3_K_L.GGUF":                               "Q3_K_L",
		"m-Q6_K.gguf":                                 "Q6_K",
		"m-Q6_K_L.gguf":                               "Q6_K_L",
		"m-Q2_K.gguf":                                 "Q2_K",
		"m-Q4_0_4_8.gguf":                             "Q4_0_4_8",
		"m-Q8_0.gguf":                                 "Q8_0",
		"m-TQ1_0.gguf":                                "TQ1_0",
		"m-BF16.gguf":                                 "BF16",
		"m.f16.gguf":                                  "F16",
		"m-F32.gguf":                                  "F32",
		"gpt-oss-20b-mxfp4.gguf":                      "MXFP4",
		"gpt-oss-20b-MXFP4_MOE.gguf":                  "MXFP4_MOE",
		"m-NVFP4.gguf":                                "NVFP4",
		"gemma_3_4b_it_q4_0.gguf":                     "Q4_0",
		"Q4_K_M_m-Q5_K_M.gguf":                        "Q5_K_M",
		"m-F16-Q8_0.gguf":                             "Q8_0",
		"m-Q4_K_M-imat.gguf":                          "Q4_K_M",
		"Q8_0.gguf":                                   "Q8_0",
		"BF16/model.gguf":                             "",
		"model.gguf":                                  "",
		"m-Q4.gguf":                                   "",
		"mQ4_0.gguf":                                  "",
		"m-Q9_0.gguf":                                 "",
		"SEQ4_0X.gguf":                                "",
		"RF16.gguf":                                   "",
		"":                                            "",
	} {
		require.Equal(t, want, quantOf(name), name)
	}
}

func TestClosest(t *testing.T) {
	all := []string{"mmproj-F32.gguf", "mmproj-BF16.gguf", "a/mmproj-x.gguf", "b/mmproj-F16.gguf"}
	require.Equal(t, "mmproj-BF16.gguf", closest("m.gguf", all))
	require.Equal(t, "a/mmproj-x.gguf", closest("a/m.gguf", all))
	require.Equal(t, "a/mmproj-x.gguf", closest("a/c/m.gguf", all))
	require.Equal(t, "mmproj-BF16.gguf", closest("ab/m.gguf", all))
	require.Empty(t, closest("m.gguf", all[2:]))
	require.Empty(t, closest("m.gguf", nil))
}

// Whatever the files are called: each is used at most once, and names are unique.
func FuzzNames(f *testing.F) {
	f.Add("m-Q4_0.gguf\nm-Q8_0-00001-of-00002.gguf\nm-Q8_0-00002-of-00002.gguf\nmmproj.gguf")
	f.Add("a/m-00000-of-00000.gguf\nm-99999-of-99999.gguf\n-00001-of-00001.gguf")
	f.Add("m-Q4_0.GGUF\nm-Q4_0.gguf\nM-00001-OF-00002.gguf\nM-00001-of-00002.gguf")
	f.Fuzz(func(t *testing.T, text string) {
		var rels []string
		for _, rel := range strings.Split(text, "\n") {
			if isGGUF(rel) && path.Clean("/"+rel) == "/"+rel && !slices.Contains(rels, rel) {
				rels = append(rels, rel)
			}
		}
		candidates, projectors := assemble(slices.Clone(rels))
		used := map[string]bool{}
		var found []entry
		keys := map[string]bool{}
		for _, c := range candidates {
			require.NotEmpty(t, c.rels)
			require.False(t, keys[c.key()])
			keys[c.key()] = true
			for _, rel := range c.rels {
				require.Contains(t, rels, rel)
				require.False(t, used[rel])
				used[rel] = true
			}
			if c.lack == "" {
				found = append(found, entry{rel: c.rels[0]})
			}
		}
		for _, p := range projectors {
			require.False(t, used[p])
		}
		for _, repo := range []string{"", "a/b"} {
			nameAll(repo, found)
			seen := map[string]bool{}
			for _, m := range found {
				require.False(t, seen[m.Name], m.Name)
				seen[m.Name] = true
			}
		}
		for _, rel := range rels {
			repo := llamaRepo(rel, text, []string{text})
			require.True(t, strings.HasPrefix(rel, llamaPrefix(repo)))
		}
	})
}
