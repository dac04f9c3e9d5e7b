// Package store keeps the KV of one model on disk: blocks, tails and checkpoints
// (package blockfile), each an immutable file named by its id, and a cache in memory of
// those that were written last in front of them.
//
// # Files
//
//	lock              held while the store is open
//	index.db          what is known of each file without opening it (bbolt)
//	ab/abcd….kv       the files, by the first byte of their id
//	tmp/              files that are being written; emptied at open
//	quarantine/       files that were found wrong, and why
//
// The files are the truth. The index remembers their heads and when they were last
// used, so that opening need not read them; what it lacks is read, what it has too
// much is forgotten, and a broken one is made anew.
//
// # Writing
//
// Put only queues: a writer goroutine writes a temporary file, syncs it, renames it
// and syncs the folder, so that a file with a block's name is whole. The queue is
// bounded in bytes; what does not fit is skipped and counted, and can be put again.
// A block is known, and can be read, as soon as it is queued. Before each write the
// quota is checked as a hard limit: the least recently used blocks that no other
// follows leave first, so chains shrink from their tips inwards, pinned ones never.
// When the disk refuses, saving is off for a while, with the reason in Stats; reading
// goes on.
//
// # Reading
//
// Get verifies everything that a file says (blockfile.Decode) before it returns it. A
// file that is wrong is put into quarantine, counted by reason, and is as good as
// absent.
//
// # Checking
//
// Check looks at a store from outside: it reads and verifies every file, compares files
// with each other and with the index, and changes nothing unless it is asked to repair.
//
// A Store is safe for concurrent use. Its methods wait for the disk only where they
// say so.
package store
