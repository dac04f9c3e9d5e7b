// Package registry knows the models that are on this machine: those that Samovar has
// downloaded, the built-in guide, files that the settings name, and those of other
// programs, which are used where they are.
//
// It reads what their headers say, once for each file, and tells what each would take. It
// removes only what Samovar itself has downloaded; of others it opens files to read them,
// and does nothing else.
package registry
