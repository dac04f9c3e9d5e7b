package download

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// lateEnd is a context that is found ended, once it is asked, since a file became whole
// just then.
type lateEnd struct {
	context.Context
	whole func()
}

func (l lateEnd) Err() error {
	l.whole()
	return context.Canceled
}

type broken struct{}

func (broken) RoundTrip(*http.Request) (*http.Response, error) { return nil, errors.New("broken") }

// The last bytes may come over another connection at any moment, and then nobody waits for
// this one: its end is no failure of the download.
func TestAFileThatBecomesWholeWhileAConnectionEnds(t *testing.T) {
	o := Options{Connections: 2}.withDefaults()
	origin, err := url.Parse("http://localhost/model")
	require.NoError(t, err)
	l := newLedger(&o, 100, nil)
	other := l.give(span{0, 50})
	a := &attempt{o: &o, route: &route{client: &http.Client{Transport: broken{}}, origin: origin}, ledger: l}
	whole := sync.OnceFunc(func() {
		l.add(other, 50)
		l.add(l.give(span{50, 100}), 50)
	})
	require.NoError(t, a.connect(lateEnd{context.Background(), whole}))
	require.True(t, l.isFull())
}
