// Package vfs is the part of a file system that the block store needs: the operating
// system's, one in memory that can lose power, and one that fails on purpose.
//
// Durability is POSIX's at its weakest. What was written is durable after Sync of the
// file; that a name is there, or is gone, after SyncDir of its folder. [Mem.Crash]
// keeps any part of what was not made durable, at random.
package vfs
