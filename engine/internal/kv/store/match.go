package store

import (
	"samovar/engine/internal/kv/blockfile"
)

// Piece is a part of a chain that is kept.
type Piece struct {
	ID blockfile.ID
	// From is the position of its first token, Tokens how many it has, Use how many
	// of them are those that were asked for: all but of the last piece.
	From, Tokens, Use int
}

// Match is the longest beginning of a prompt that is kept, in order.
type Match []Piece

// Tokens returns its length.
func (m Match) Tokens() int {
	if len(m) == 0 {
		return 0
	}
	last := m[len(m)-1]
	return last.From + last.Use
}

// Longest finds the longest kept beginning of tokens behind root. Its last piece may
// be a block or tail that begins as tokens goes on and ends otherwise.
func (s *Store) Longest(root blockfile.ID, tokens []blockfile.Token) Match {
	s.mu.Lock()
	defer s.mu.Unlock()
	var m Match
	parent, at := root, 0
	for len(tokens)-at >= blockfile.BlockTokens {
		id := blockfile.ChainID(blockfile.KindBlock, parent, tokens[at:at+blockfile.BlockTokens])
		if s.entries[id] == nil {
			break
		}
		m = append(m, Piece{ID: id, From: at, Tokens: blockfile.BlockTokens, Use: blockfile.BlockTokens})
		parent, at = id, at+blockfile.BlockTokens
	}
	best := Piece{}
	for _, e := range s.kids[parent] {
		if e.kind == blockfile.KindCheckpoint {
			continue
		}
		if n := common(e.tokens, tokens[at:]); n > best.Use || n == best.Use && n > 0 && len(e.tokens) < best.Tokens {
			best = Piece{ID: e.id, From: at, Tokens: len(e.tokens), Use: n}
		}
	}
	if best.Use > 0 {
		m = append(m, best)
	}
	return m
}

// Checkpoint finds, for models that have checkpoints, the kept one that is the
// furthest along tokens, and the blocks before it; blocks says whether it needs them.
// ok is false if there is none.
func (s *Store) Checkpoint(root blockfile.ID, tokens []blockfile.Token, blocks bool) (before Match, at Piece, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var chain Match
	parent, pos := root, 0
	for {
		best := Piece{Use: -1}
		for _, e := range s.kids[parent] {
			if e.kind == blockfile.KindCheckpoint && len(e.tokens) > best.Use && common(e.tokens, tokens[pos:]) == len(e.tokens) {
				best = Piece{ID: e.id, From: pos, Tokens: len(e.tokens), Use: len(e.tokens)}
			}
		}
		if best.Use >= 0 {
			before, at, ok = chain[:len(chain):len(chain)], best, true
		}
		if len(tokens)-pos < blockfile.BlockTokens {
			return before, at, ok
		}
		id := blockfile.ChainID(blockfile.KindBlock, parent, tokens[pos:pos+blockfile.BlockTokens])
		if blocks && s.entries[id] == nil {
			return before, at, ok
		}
		chain = append(chain, Piece{ID: id, From: pos, Tokens: blockfile.BlockTokens, Use: blockfile.BlockTokens})
		parent, pos = id, pos+blockfile.BlockTokens
	}
}

// Has says whether a block is kept, or about to be.
func (s *Store) Has(id blockfile.ID) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.entries[id] != nil
}

func common(a, b []blockfile.Token) int {
	n := min(len(a), len(b))
	for i := range n {
		if a[i] != b[i] {
			return i
		}
	}
	return n
}
