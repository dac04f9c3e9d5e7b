// Package download brings one file from an HTTP server to a path, so that it is right
// or not there: over connections that break, servers that lie, processes that are
// killed and days that pass. It knows nothing of models, hubs or what is in a file.
//
// # How a file comes
//
// The first request asks the address for the first bytes that are missing, and learns
// the rest from the answer: the size, the entity tag, whether the server sends ranges,
// and where redirects lead. More connections then fetch ranges from there side by
// side, always the first ones that are missing, so that a hasher can follow behind
// them. A server without ranges is read from the start by one connection. What comes is
// written to a partial in another folder, which becomes the file when it is whole,
// hashed, right and synced.
//
// Nothing is written before the answer is seen to be of the file that is being fetched:
// its status, its range, its size, its entity tag, and that it's no web page. Which
// digest is right the caller says, or else the server (X-Linked-Etag, or an ETag that
// is 64 hex digits and comes from the address's own host); if neither does, size and
// entity tags must do.
//
// # A partial's files
//
// Their names begin with 24 hex digits of the SHA-256 of the file's path.
//
//	….part     the bytes that have come, at their places; holes between them
//	….journal  which ones have come, and of what
//	….lock     locked (flock) by the process that downloads; others wait for it
//
// A journal has two slots of 8 KiB, which are written in turn, in place. A slot is a
// line: the XXH3 of the rest in 16 hex digits, a space, and JSON (record). The slot
// that is right and has the higher "seq" counts, so that a kill within a write costs
// what one write says and no more. (A temporary file and a rename would cost 200 times
// as much, and this is written for each quarter of a MiB.)
//
// "done" are the bytes that were written when the journal was, "synced" those that are
// on the disk. The system keeps what a killed process wrote, so a process that goes on
// trusts "done"; after a start of the system ("boot" is another one) only "synced".
// A journal that can't be read, or another version's, is as good as none: the file is
// fetched from the start.
package download
