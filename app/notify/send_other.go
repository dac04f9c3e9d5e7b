//go:build !darwin && !linux

package notify

// NewSender returns what shows notes on this system, or nil if there is nothing.
func NewSender(Options) Sender { return nil }
