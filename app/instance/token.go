package instance

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"

	"github.com/google/renameio/v2"
)

// wholeToken is what Token makes: 26 letters and digits, of 128 random bits or more.
var wholeToken = regexp.MustCompile(`^[A-Z2-7]{26,64}$`)

// Token returns the page's token, which is made once and survives restarts, so that pages
// that are open go on. One that was damaged is made anew.
func Token(path string) (string, error) {
	raw, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("cannot read the page's token: %w", err)
	}
	if wholeToken.Match(raw) {
		return string(raw), nil
	}
	token, dir := rand.Text(), filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", fmt.Errorf("cannot make the page's token: %w", err)
	}
	if err := renameio.WriteFile(path, []byte(token), 0o600, renameio.WithTempDir(dir)); err != nil {
		return "", fmt.Errorf("cannot make the page's token: %w", err)
	}
	return token, nil
}
