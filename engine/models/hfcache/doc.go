// Package hfcache puts files into a Hugging Face hub cache as huggingface_hub does, and
// takes them out again, so that other programs find what we have downloaded and nothing
// lies on the disk twice. It downloads nothing and checks no content: whoever fills a
// blob has compared its digest before it is linked.
//
// # Layout
//
// As in huggingface_hub's file_download.py and _cache_manager.py (1.x, 2026):
//
//	models--owner--repo/blobs/<sha256>
//	models--owner--repo/snapshots/<commit>/folder/file → ../../../blobs/<sha256>
//	models--owner--repo/refs/main                        the commit, without a line's end
//
// A blob is written beside its place as <sha256>.incomplete and renamed; readers ignore
// that name. Where a file system has no links, the blob itself becomes the snapshot's
// file. What a snapshot holds under a name never changes: another content is another
// commit.
//
// # Safety
//
// Names come from the network. They are checked before they become paths, and every
// write goes through an os.Root of the cache, so that not even a link that somebody put
// there leads it outside. Links and refs are made elsewhere and renamed into place: a
// reader, or a crash, sees the old or the new one.
package hfcache
