package download

import (
	"context"

	"golang.org/x/time/rate"
)

// A limiter bounds the bytes per second of all downloads together; nil does not.
type limiter struct {
	bucket *rate.Limiter
	burst  int
}

func newLimiter(bytesPerSecond int64) *limiter {
	if bytesPerSecond <= 0 {
		return nil
	}
	// An eighth of a second's worth: reads that are smaller are many, and larger ones
	// make the speed jump.
	burst := int(min(max(bytesPerSecond/8, 1<<10), readBytes))
	return &limiter{bucket: rate.NewLimiter(rate.Limit(bytesPerSecond), burst), burst: burst}
}

// most is how many bytes may be read at a time, of n.
func (l *limiter) most(n int) int {
	if l == nil {
		return n
	}
	return min(n, l.burst)
}

// wait waits until n bytes, which have been read, are within the limit.
func (l *limiter) wait(ctx context.Context, n int) error {
	if l == nil || n == 0 {
		return nil
	}
	return l.bucket.WaitN(ctx, n)
}
