package hub

import (
	"fmt"
	"path"
	"regexp"
	"strconv"
	"strings"
)

var (
	splitForm = regexp.MustCompile(`^(.+)-([0-9]{5})-of-([0-9]{5})(?i:\.gguf)$`)
	// quantName finds a quantisation in a word of a file's name, in capitals: llama.cpp's
	// names of file types, with the sizes that publishers add (Q4_K_XL).
	quantName = regexp.MustCompile(`^(?:.*_)?(` +
		`I?Q[1-9]_(?:XXS|XS|NL|[SML])` +
		`|Q[1-9](?:_[01](?:_[48]_[48]|_L)?|_K(?:_(?:XXL|XL|XS|[SMLP]))?)?` +
		`|TQ[12]_0|MXFP[0-9](?:_MOE)?|NVFP4|BF16|FP?16|FP?32)(?:_.*)?$`)
	bitsForm = regexp.MustCompile(`[0-9]+`)
)

// companions are in names of files that go with a model but aren't one (llama.cpp,
// common/download.cpp).
var companions = []string{"mmproj", "imatrix", "mtp-", "eagle3-", "dflash-", "dspark-"}

// isModel says whether a file is a model, or a part of one.
func isModel(file string) bool {
	if !isGGUF(file) {
		return false
	}
	name := strings.ToLower(path.Base(file))
	for _, c := range companions {
		if strings.Contains(name, c) {
			return false
		}
	}
	return true
}

// anyPart stands for a part's number, and in no file's name.
const anyPart = "-\x00"

// split tells which part of which model a file is: the first of one, if it isn't split.
// Parts of the same model have the same name for it, which is not a file's.
func split(file string) (model string, part, of int) {
	m := splitForm.FindStringSubmatch(file)
	if m == nil {
		return file, 1, 1
	}
	part, _ = strconv.Atoi(m[2])
	of, _ = strconv.Atoi(m[3])
	if part < 1 || part > of {
		return file, 1, 1 // a name that only looks like it
	}
	return m[1] + anyPart + m[0][len(m[1])+len("-00000"):], part, of
}

// Parts returns the names or addresses of all parts of a split model, given those of one
// (…-00001-of-00003.gguf); of a model that isn't split, its own.
func Parts(file string) []string {
	model, _, of := split(file)
	if of == 1 {
		return []string{file}
	}
	before, behind, _ := strings.Cut(model, anyPart)
	parts := make([]string, of)
	for i := range parts {
		parts[i] = fmt.Sprintf("%s-%05d%s", before, i+1, behind)
	}
	return parts
}

// quantOf reads the quantisation off a file's name, else off its folder's.
func quantOf(file string) string {
	base := path.Base(file)
	if m := splitForm.FindStringSubmatch(base); m != nil {
		base = m[1]
	} else {
		base = base[:len(base)-len(ext)]
	}
	if q := quantIn(base); q != "" {
		return q
	}
	return quantIn(path.Base(path.Dir(file)))
}

// quantIn takes the last one in a name: models are themselves called all sorts of things.
// UD- is part of it, since repositories have both UD-Q4_K_M and Q4_K_M.
func quantIn(name string) string {
	words := strings.FieldsFunc(strings.ToUpper(name), func(r rune) bool { return r == '-' || r == '.' })
	for i := len(words) - 1; i >= 0; i-- {
		if m := quantName.FindStringSubmatch(words[i]); m != nil {
			if i > 0 && words[i-1] == "UD" {
				return "UD-" + m[1]
			}
			return m[1]
		}
	}
	return ""
}

// bits is a quantisation's bits a weight, roughly; 0 if unknown.
func bits(quant string) int {
	n, _ := strconv.Atoi(bitsForm.FindString(quant))
	return n
}

// didYouMean suggests the nearest name, if one is near.
func didYouMean(name string, names []string) string {
	best, nearest := "", len(name)/3+1
	for _, n := range names {
		if d := distance(strings.ToLower(name), strings.ToLower(n)); d < nearest {
			best, nearest = n, d
		}
	}
	if best == "" {
		return ""
	}
	return fmt.Sprintf("Did you mean %s? ", best)
}

// distance is Levenshtein's, in bytes.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			change := diagonal
			if a[i] != b[j] {
				change++
			}
			diagonal = row[j+1]
			row[j+1] = min(change, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
