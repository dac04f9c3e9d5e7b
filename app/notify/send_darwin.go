package notify

// NewSender returns what shows notes on this system, or nil if there is nothing.
func NewSender(o Options) Sender { return script{o} }
