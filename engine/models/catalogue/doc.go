// Package catalogue lists the models that Samovar suggests to somebody who has none: a
// dozen of different sizes, with what they take and what they are good at.
//
// The list is checked in. Where an entry's digest is not known to us it says so (Checked
// is false), its size is about right, and the download is verified by the digest that the
// server states. `go run ./build/catalogue` compares entries with their source.
package catalogue
