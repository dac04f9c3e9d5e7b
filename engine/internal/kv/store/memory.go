package store

import (
	"container/list"

	"samovar/engine/internal/kv/blockfile"
)

// memory is a cache of verified blocks, bounded by the bytes of their payloads; the
// least recently used leave first. The store's lock guards it.
type memory struct {
	limit, bytes int64
	blocks       map[blockfile.ID]*list.Element // of blockfile.Block
	order        *list.List                     // the most recently used first
}

func newMemory(limit int64) *memory {
	return &memory{limit: limit, blocks: map[blockfile.ID]*list.Element{}, order: list.New()}
}

type remembered struct {
	id    blockfile.ID
	block blockfile.Block
}

func (m *memory) get(id blockfile.ID) (blockfile.Block, bool) {
	e := m.blocks[id]
	if e == nil {
		return blockfile.Block{}, false
	}
	m.order.MoveToFront(e)
	return e.Value.(remembered).block, true
}

// bound changes the limit.
func (m *memory) bound(limit int64) {
	m.limit = limit
	for m.bytes > m.limit {
		m.remove(m.order.Back().Value.(remembered).id)
	}
}

func (m *memory) put(id blockfile.ID, b blockfile.Block) {
	if m.blocks[id] != nil || int64(len(b.Payload)) > m.limit {
		return
	}
	m.blocks[id] = m.order.PushFront(remembered{id, b})
	m.bytes += int64(len(b.Payload))
	m.bound(m.limit)
}

func (m *memory) remove(id blockfile.ID) {
	if e := m.blocks[id]; e != nil {
		m.order.Remove(e)
		delete(m.blocks, id)
		m.bytes -= int64(len(e.Value.(remembered).block.Payload))
	}
}
