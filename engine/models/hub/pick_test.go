package hub

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestQuantOf(t *testing.T) {
	for file, want := range map[string]string{
		"Llama-3.2-1B-Instruct-Q4_K_M.gguf":                 "Q4_K_M",
		"llama-2-7b-chat.Q2_K.gguf":                         "Q2_K",
		"gemma-2b-it-q4_k_m.gguf":                           "Q4_K_M",
		"model_Q5_K_S.gguf":                                 "Q5_K_S",
		"Qwen3-1.7B-UD-Q4_K_XL.gguf":                        "UD-Q4_K_XL",
		"UD-IQ1_S/DeepSeek-R1-UD-IQ1_S-00001-of-00003.gguf": "UD-IQ1_S",
		"Q4_K_M/model-00001-of-00002.gguf":                  "Q4_K_M",
		"UD-Q2_K_XL/model.gguf":                             "UD-Q2_K_XL",
		"OLMo-7B.i1-IQ3_XXS.gguf":                           "IQ3_XXS",
		"model-IQ4_NL.gguf":                                 "IQ4_NL",
		"phi-Q4_0_4_8.gguf":                                 "Q4_0_4_8",
		"phi-Q8_0_L.gguf":                                   "Q8_0_L",
		"gpt-oss-20b-mxfp4.gguf":                            "MXFP4",
		"gpt-oss-20b-MXFP4_MOE.gguf":                        "MXFP4_MOE",
		"qwen2.5-1.5b-instruct-fp16-00001-of-00002.gguf":    "FP16",
		"ggml-model-f16-big-endian.gguf":                    "F16",
		"model.BF16.GGUF":                                   "BF16",
		"gemma-3-4b-it-qat-q4_0.gguf":                       "Q4_0",
		"bitnet-TQ2_0.gguf":                                 "TQ2_0",
		"model-q8.gguf":                                     "Q8",
		"model-Q4_K_M_imatrix.gguf":                         "Q4_K_M",
		"model-bf16-Q6_K.gguf":                              "Q6_K",
		"stories260K.gguf":                                  "",
		"Qwen2.gguf":                                        "",
		"folder/model.gguf":                                 "",
		"PQ4_0X.gguf":                                       "",
	} {
		require.Equal(t, want, quantOf(file), file)
	}
}

func TestParts(t *testing.T) {
	require.Equal(t, []string{"a.gguf"}, Parts("a.gguf"))
	require.Equal(t, []string{"x/a-00001-of-00002.gguf", "x/a-00002-of-00002.gguf"}, Parts("x/a-00002-of-00002.gguf"))
	require.Equal(t, []string{"a-00001-of-00001.GGUF"}, Parts("a-00001-of-00001.GGUF"))
	for _, only := range []string{"a-00003-of-00002.gguf", "a-00000-of-00002.gguf", "a-1-of-2.gguf", "a-00001-of-00002.gguf.bak"} {
		require.Equal(t, []string{only}, Parts(only), "it only looks like one")
	}
	require.Equal(t, "https://e.org/a-of-00002-b-00002-of-00002.gguf", Parts("https://e.org/a-of-00002-b-00001-of-00002.gguf")[1])
}

// files makes a repository of names, each of another size.
func files(names ...string) Repo {
	r := Repo{ID: "owner/repo"}
	for i, name := range names {
		r.Files = append(r.Files, File{Path: name, Size: int64(100 - i)})
	}
	return r
}

var big = files(
	"README.md", "imatrix.gguf", "m-BF16-00001-of-00002.gguf", "m-BF16-00002-of-00002.gguf", "m-Q2_K.gguf",
	"m-Q4_K_M.gguf", "m-Q8_0.gguf", "m-UD-Q4_K_XL.gguf", "mmproj-F16.gguf", "mtp-m-Q8_0.gguf",
	"sub/M-Q6_K.gguf", "m-Q5_K_M-00001-of-00002.gguf",
)

func TestPick(t *testing.T) {
	for name, test := range map[string]struct {
		in    Repo
		ref   Ref
		quant string
		first string
		parts int
	}{
		"usual":                    {big, Ref{}, "Q4_K_M", "m-Q4_K_M.gguf", 1},
		"by quant":                 {big, Ref{Quant: "Q8_0"}, "Q8_0", "m-Q8_0.gguf", 1},
		"by quant of any case":     {big, Ref{Quant: "q2_k"}, "Q2_K", "m-Q2_K.gguf", 1},
		"by the rest of a quant":   {big, Ref{Quant: "Q4_K_XL"}, "UD-Q4_K_XL", "m-UD-Q4_K_XL.gguf", 1},
		"split":                    {big, Ref{Quant: "BF16"}, "BF16", "m-BF16-00001-of-00002.gguf", 2},
		"split out of order":       {files("m-Q8_0-00002-of-00002.gguf", "m-Q8_0-00001-of-00002.gguf"), Ref{}, "Q8_0", "m-Q8_0-00001-of-00002.gguf", 2},
		"by another part":          {big, Ref{File: "m-BF16-00002-of-00002.gguf"}, "BF16", "m-BF16-00001-of-00002.gguf", 2},
		"by file":                  {big, Ref{File: "m-Q2_K.gguf"}, "Q2_K", "m-Q2_K.gguf", 1},
		"by file of another case":  {big, Ref{File: "M-q2_k.GGUF"}, "Q2_K", "m-Q2_K.gguf", 1},
		"by a file's name":         {big, Ref{File: "m-q6_k.gguf"}, "Q6_K", "sub/M-Q6_K.gguf", 1},
		"a name that is two paths": {files("a/m.gguf", "m.gguf"), Ref{File: "m.gguf"}, "", "m.gguf", 1},
		"fp16 is f16":              {files("m-fp16.gguf"), Ref{Quant: "F16"}, "FP16", "m-fp16.gguf", 1},
		"f16 is fp16":              {files("m-f16.gguf"), Ref{Quant: "FP16"}, "F16", "m-f16.gguf", 1},
		"a quant unknown to us":    {files("m-Q2_K.gguf", "m-XQ9.gguf"), Ref{Quant: "XQ9"}, "", "m-XQ9.gguf", 1},
		"usual without Q4_K_M":     {files("m-Q2_K.gguf", "m-Q8_0.gguf", "m-Q4_0.gguf"), Ref{}, "Q4_0", "m-Q4_0.gguf", 1},
		"usual without both":       {files("m-F16.gguf", "m-Q5_K_M.gguf", "m-Q8_0.gguf"), Ref{}, "Q8_0", "m-Q8_0.gguf", 1},
		"nothing usual":            {files("m-F16.gguf", "m-Q2_K.gguf", "m-Q5_K_M.gguf", "m-Q3_K_S.gguf"), Ref{}, "Q5_K_M", "m-Q5_K_M.gguf", 1},
		"nothing large":            {files("m.gguf", "m-Q2_K.gguf", "m-Q3_K_S.gguf"), Ref{}, "Q3_K_S", "m-Q3_K_S.gguf", 1},
		"only one":                 {files("README.md", "stories260K.gguf"), Ref{}, "", "stories260K.gguf", 1},
		"one with a projector":     {files("mmproj-Q4_K_M.gguf", "m.mmproj-Q4_K_M.gguf", "m-F16.gguf"), Ref{}, "F16", "m-F16.gguf", 1},
		"broken but not asked for": {files("m-Q4_K_M-00001-of-00002.gguf", "m-Q8_0.gguf"), Ref{}, "Q8_0", "m-Q8_0.gguf", 1},
		"the first of several":     {files("a-Q4_K_M.gguf", "b-Q4_K_M.gguf"), Ref{Quant: "Q4_K_M"}, "Q4_K_M", "a-Q4_K_M.gguf", 1},
		"a split whose name repeats": {files("Q4_0/m-00001-of-00002.gguf", "Q4_0/m-00002-of-00002.gguf", "Q8_0/m-00001-of-00002.gguf", "Q8_0/m-00002-of-00002.gguf"),
			Ref{Quant: "Q8_0"}, "Q8_0", "Q8_0/m-00001-of-00002.gguf", 2},
	} {
		got, quant, err := Pick(test.in, test.ref)
		require.NoError(t, err, name)
		require.Equal(t, test.quant, quant, name)
		require.Equal(t, test.first, got[0].Path, name)
		require.Len(t, got, test.parts, name)
	}
}

func TestPickRefuses(t *testing.T) {
	for name, test := range map[string]struct {
		in   Repo
		ref  Ref
		kind Kind
		says string
	}{
		"no GGUF":               {files("model.safetensors"), Ref{}, NoGGUF, "owner/repo has no model in the GGUF format."},
		"no GGUF of that quant": {files("model.safetensors", "mmproj.gguf"), Ref{Quant: "Q4_0"}, NoGGUF, "no model in the GGUF format"},
		"no GGUF of that name":  {files("model.safetensors"), Ref{File: "x.gguf"}, NoGGUF, "no model in the GGUF format"},
		"no such quant":         {big, Ref{Quant: "Q4_K_N"}, NoSuchQuant, "owner/repo has no Q4_K_N. Did you mean Q4_K_M? There is BF16, Q2_K, Q4_K_M, Q8_0, UD-Q4_K_XL, Q6_K."},
		"nothing like it":       {big, Ref{Quant: "NVFP4"}, NoSuchQuant, "owner/repo has no NVFP4. There is BF16"},
		"no quants at all":      {files("m.gguf"), Ref{Quant: "Q4_0"}, NoSuchQuant, "There is m.gguf."},
		"no such file":          {big, Ref{File: "m-Q4_K_L.gguf"}, NotFound, `owner/repo has no file "m-Q4_K_L.gguf". Did you mean m-Q4_K_M.gguf? There is`},
		"a projector":           {big, Ref{File: "mmproj-F16.gguf"}, NoGGUF, "mmproj-F16.gguf of owner/repo isn't a model on its own. It goes with one. There is BF16"},
		"parts missing":         {big, Ref{Quant: "Q5_K_M"}, BadAnswer, "owner/repo has only 1 of the 2 parts of m-Q5_K_M-00001-of-00002.gguf."},
		"parts of it missing":   {big, Ref{File: "m-Q5_K_M-00001-of-00002.gguf"}, BadAnswer, "only 1 of the 2 parts"},
		"all parts missing":     {files("m-Q8_0-00002-of-99999.gguf"), Ref{}, BadAnswer, "only 1 of the 99999 parts"},
		"two of the name":       {files("a/m.gguf", "b/m.gguf"), Ref{File: "m.gguf"}, NotFound, "There is a/m.gguf, b/m.gguf."},
		"elsewhere":             {big, Ref{URL: "https://e.org/x.gguf"}, BadRef, "isn't in a repository"},
	} {
		_, _, err := Pick(test.in, test.ref)
		require.Equal(t, test.kind, KindOf(err), "%s: %v", name, err)
		require.ErrorContains(t, err, test.says, name)
	}
}

func TestVariants(t *testing.T) {
	got := Variants(big)
	var quants []string
	for _, v := range got {
		quants = append(quants, fmt.Sprintf("%s %d %d", v.Quant, v.Bytes, len(v.Files)))
	}
	require.Equal(t, []string{"Q6_K 90 1", "UD-Q4_K_XL 93 1", "Q8_0 94 1", "Q4_K_M 95 1", "Q2_K 96 1", "BF16 195 2"}, quants)
	require.Empty(t, Variants(Repo{}))
}

// A hostile list of split names must not cost more than a list of others.
func TestManySplitNames(t *testing.T) {
	var r Repo
	for i := range 5_000 {
		r.Files = append(r.Files, File{Path: fmt.Sprintf("m%d-00001-of-99999.gguf", i)})
	}
	require.Empty(t, Variants(r))
	_, _, err := Pick(r, Ref{Quant: "Q4_K_M"})
	require.Equal(t, NoSuchQuant, KindOf(err))
	require.Less(t, len(err.Error()), 5000)
}

// Whatever variant a repository has can be picked, by its first file and by its quant.
func TestEveryVariantCanBePicked(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	quants := []string{"Q4_K_M", "q8_0", "UD-Q4_K_XL", "BF16", "IQ3_XXS", "fp16", "odd"}
	for range 200 {
		var names []string
		for _, q := range quants {
			if of := random.IntN(4); of == 1 {
				names = append(names, "m-"+q+".gguf")
			} else if of > 1 {
				names = append(names, Parts(fmt.Sprintf("%s/m-%s-00001-of-%05d.gguf", q, q, of))...)
			}
		}
		random.Shuffle(len(names), func(i, j int) { names[i], names[j] = names[j], names[i] })
		r := files(names...)
		for _, v := range Variants(r) {
			got, quant, err := Pick(r, Ref{File: v.Files[len(v.Files)-1].Path})
			require.NoError(t, err)
			require.Equal(t, v.Files, got)
			require.Equal(t, v.Quant, quant)
			if v.Quant != "" {
				got, _, err = Pick(r, Ref{Quant: v.Quant})
				require.NoError(t, err)
				require.Equal(t, v.Files, got)
			}
		}
	}
}
