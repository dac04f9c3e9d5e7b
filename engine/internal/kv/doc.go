// Package kv accounts the KV pool: which sequence holds which tokens in which
// cells, what is shared, what idles, what has to leave when cells are needed,
// and when the pool is worth compacting.
//
// It is a model of llama.cpp's unified pool and moves nothing itself: the worker
// asks it for a plan, does the same to the native pool, and tells it so. It has no
// goroutine, no clock and no native call; one goroutine uses a Pool.
//
// # Cells
//
// A cell holds the keys and values of one token at one position, for every
// sequence that has this token there after the same prefix. Cells are counted
// exactly. Where they lie is modelled after llama.cpp's llama_kv_cache (find_slot,
// seq_rm, v0.4.0): the first free cells from a head on, which moves behind what was
// placed and back to what is freed below it. Span depends on it, the end of the highest
// used cell: attention runs up to there (ENGINE.md §1), so that holes below cost every
// step. So does Places, which people see. A test of the worker compares them with what
// llama.cpp says, cell by cell; where the account can't be sure, Places says nothing.
//
// # Hot sequences
//
// A sequence whose request has ended stays, idle, so that the next turn finds its
// prefix. It leaves when its cells or its id are needed, the least recently used
// first, or when it has slowed the others down by as much as it would cost to bring
// it back (Charge): whoever stays longer than the price of leaving never pays more
// than twice the best that could have been done (the ski rental argument).
package kv
