package pull

import (
	"errors"
	"io/fs"
	"os"

	"samovar/engine/infer"
	"samovar/engine/models/hub"
)

// remove deletes a file, if it is there.
func remove(path string) error {
	if err := os.Remove(path); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

func size(path string) int64 {
	info, err := os.Stat(path)
	if err != nil {
		return 0
	}
	return info.Size()
}

// PublicError makes an error of the Hub or of a download one that clients understand.
func PublicError(err error) error {
	message, hint := words(err)
	code := infer.CodeInternal
	var h *hub.Error
	if errors.As(err, &h) && h.Kind != hub.BadAnswer {
		code = infer.CodeInvalid
	}
	return &infer.Error{Code: code, Message: message, Hint: hint, Err: err}
}
