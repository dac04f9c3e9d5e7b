package worker

// buffers are free ones that blocks are read into. They are used again and again: making
// three megabytes takes up to ten milliseconds, for the memory's pages and for the
// garbage collector that it calls, reading them a half.
type buffers chan []byte

// cellHead is about what llama.cpp says of a cell besides its KV, in bytes.
const cellHead = 24

// maxFilled bounds the bytes of the buffers that are made in advance.
const maxFilled = 64 << 20

// fill makes the buffers in advance, as far as that is not too much.
func (f buffers) fill(size int) {
	for filled := size; filled <= maxFilled; filled += size {
		b := make([]byte, size)
		for i := 0; i < size; i += 4096 {
			b[i] = 1 // or else the page is made when it is read into
		}
		select {
		case f <- b:
		default:
			return
		}
	}
}

// take returns a buffer, nil if none is free.
func (f buffers) take() []byte {
	select {
	case b := <-f:
		return b
	default:
		return nil
	}
}

// give takes a buffer back.
func (f buffers) give(b []byte) {
	if b == nil {
		return
	}
	select {
	case f <- b:
	default:
	}
}
