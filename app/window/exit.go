package window

// ExitNone is how the process ends where no window can be shown: opening it again would
// not help.
const ExitNone = 5
