package engine

import (
	"slices"
	"sync"

	"samovar/engine/infer"
)

// historyLength is how many transitions are remembered, and how many a reader may be
// behind.
const historyLength = 64

// history remembers the last transitions and tells them to whoever watches. It never
// waits for a reader: one that is slow misses some.
type history struct {
	mu       sync.Mutex
	all      []infer.Transition // the oldest first
	watchers []chan infer.Transition
}

func (h *history) add(t infer.Transition) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.all) == historyLength {
		h.all = h.all[1:]
	}
	h.all = append(h.all, t)
	for _, w := range h.watchers {
		select {
		case w <- t:
		default:
		}
	}
}

// last returns what is remembered, the newest first.
func (h *history) last() []infer.Transition {
	h.mu.Lock()
	defer h.mu.Unlock()
	all := slices.Clone(h.all)
	slices.Reverse(all)
	return all
}

func (h *history) watch() (feed <-chan infer.Transition, stop func()) {
	w := make(chan infer.Transition, historyLength)
	h.mu.Lock()
	defer h.mu.Unlock()
	h.watchers = append(h.watchers, w)
	return w, func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		h.watchers = slices.DeleteFunc(h.watchers, func(o chan infer.Transition) bool { return o == w })
	}
}
