// Package blockfile is the format of the files that KV is kept in, one immutable
// file a block.
//
// A chain of tokens is cut into blocks of [BlockTokens]. A block's id is the BLAKE3
// hash of its kind, its parent's id and its tokens; the parent of the first is the
// fingerprint of everything that the KV depends on besides the tokens ([Fingerprint]).
// An id therefore names a whole chain, and the same beginning has the same ids whoever
// computed it.
//
// # Format, version 3
//
// All numbers are little-endian.
//
//	offset  bytes  field
//	     0      8  magic, "samovarK"
//	     8      2  version
//	    10      1  kind: 1 block, 2 tail, 3 checkpoint
//	    11      1  0
//	    12      4  position of the first token in its chain
//	    16      4  n, the number of tokens: 256 of a block, 1 … 255 of a tail,
//	               0 … 255 of a checkpoint (those since the last block)
//	    20      4  d, the number of digests of logits, 0 … 4
//	    24      8  p, the length of the payload
//	    32     32  fingerprint
//	    64     32  parent: an id, or the fingerprint at position 0
//	    96     32  id
//	   128      8  XXH3-64 of the payload
//	   136     4n  tokens
//	    …      …  digests, in the order of the tokens; each is
//	                 4  after how many of the tokens the logits are
//	                 4  m, 1 … 64
//	                8m  token and logit (float32), the likeliest first
//	    …      8  XXH3-64 of everything before
//	    …      p  payload: what llama.cpp gave for these tokens
//
// A reader trusts none of it: [Decode] checks every field against the others, the id
// against the tokens and both checksums, allocates nothing that a field asks for, and
// says what is wrong as a [Reason]. Payloads carry no version of their own and
// llama.cpp takes altered ones without a word (ENGINE.md §5), so the fingerprint has
// the library's version in it.
package blockfile
