package download

import (
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"syscall"
	"time"

	"github.com/dustin/go-humanize"
)

// Kind says what went wrong, so that callers can decide what to do.
type Kind string

// The kinds of errors.
const (
	Invalid     Kind = "invalid"      // the File is no request that can be made
	NotFound    Kind = "not_found"    // the server has no such file
	Gated       Kind = "gated"        // the server wants a token, or a licence accepted
	RateLimited Kind = "rate_limited" // the server wants us to wait longer than we do
	Unreachable Kind = "unreachable"  // no connection, or none that lasts
	BadServer   Kind = "bad_server"   // what the server says is not HTTP's, or not the file
	Changed     Kind = "changed"      // the file keeps changing on the server
	WrongDigest Kind = "wrong_digest" // what came is not what it should be
	DiskFull    Kind = "disk_full"
	Disk        Kind = "disk" // the disk refuses for another reason
	Busy        Kind = "busy" // it is being downloaded right now
)

// Error is why a download failed. Message and Hint are whole sentences for the user;
// they, and Err, hold no token and no query of a URL.
type Error struct {
	Kind    Kind
	Message string
	Hint    string // what to do
	Status  int    // HTTP's; 0 if there was none
	Err     error  // the cause, if it is another error
}

func (e *Error) Error() string { return e.Message + " " + e.Hint }

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// What to do.
const (
	hintAgain   = "Download it again later: what has come is kept."
	hintLicence = "Accept the licence on the model's page and set HF_TOKEN."
	hintToken   = "Check that the token is still good, and that its owner has accepted the licence on the model's page."
	hintSource  = "Check the address, or take the file from another place."
	hintPortal  = "Check the address, and whether the network asks for a sign-in."
	hintSpace   = "Free some space, then download it again: what has come is kept."
	hintDisk    = "Check the disk and the folder's permissions, then download it again."
	hintNet     = "Check the network, then download it again: what has come is kept."
)

// passing is an error that may pass: the same is worth another try.
type passing struct {
	err   *Error
	after time.Duration // the server asks to wait that long
}

func (p *passing) Error() string { return p.err.Error() }

func (p *passing) Unwrap() error { return p.err }

// These make an attempt begin anew.
var (
	// errStale is a partial from before that is not of the file that the server has now.
	errStale = errors.New("the partial is of another file")
	// errChanged is a file that changed on the server while it was fetched.
	errChanged = errors.New("the file changed on the server")
)

// here asks whether the file, whose digest the server has told, is at its place already.
type here struct{ digest string }

func (*here) Error() string { return "the file may be here already" }

// wrong is a whole file with another digest than it should have.
type wrong struct {
	want, got string
	resumed   bool // from a partial of before
}

func (w *wrong) Error() string { return "sha256 is " + w.got + ", not " + w.want }

func (w *wrong) public() *Error {
	return &Error{Kind: WrongDigest, Err: w,
		Message: fmt.Sprintf("What came is not the file that was asked for: its SHA-256 should be %s and is %s.", w.want, w.got),
		Hint:    "It was deleted. Download it again; if that doesn't help, the file on the server is damaged or was replaced: look the model up anew.",
	}
}

func changedTwice() *Error {
	return &Error{Kind: Changed, Err: errChanged,
		Message: "The file changed on the server while it was downloaded, and again after the download had begun anew.",
		Hint:    "Download it again when the server is done with it.",
	}
}

// bad is an answer that cannot be right.
func bad(status int, format string, args ...any) *Error {
	return &Error{Kind: BadServer, Status: status, Message: fmt.Sprintf(format, args...), Hint: hintSource}
}

// onDisk says what the disk's refusal means.
func onDisk(doing string, err error) *Error {
	e := &Error{Kind: Disk, Message: fmt.Sprintf("The disk refuses %s.", doing), Hint: hintDisk, Err: err}
	switch {
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		e.Kind, e.Hint = DiskFull, hintSpace
		e.Message = fmt.Sprintf("The disk became full at %s.", doing)
	case errors.Is(err, syscall.EFBIG):
		e.Hint = "The file is larger than this file system, or a limit of this user, allows."
	case errors.Is(err, fs.ErrPermission):
		e.Hint = "Check the folder's permissions, then download it again."
	}
	return e
}

func noSpace(dir string, need, free int64) *Error {
	return &Error{Kind: DiskFull, Hint: "Free some space, or choose a smaller file.",
		Message: fmt.Sprintf("The file needs %s and %s are free in %s.", size(need), size(free), dir)}
}

// size names bytes for people.
func size(n int64) string { return humanize.IBytes(uint64(max(n, 0))) }

// unreachable is a connection that could not be made or did not last. The URL that the
// cause names may be signed, so it goes.
func unreachable(host string, err error) *passing {
	if u := (*url.Error)(nil); errors.As(err, &u) {
		err = u.Err
	}
	return &passing{err: &Error{Kind: Unreachable, Message: fmt.Sprintf("The connection to %s keeps failing.", host), Hint: hintNet, Err: err}}
}
