// Package admit decides for each request that arrives whether it is taken or shed,
// and when a shed one is to come back: from a bounded number of requests, a bounded
// wait for a sequence, and the client's own patience.
//
// It is pure. No goroutine, clock, lock or I/O is in it: the engine tells it what
// happens and when (a request arrives, its prompt is counted, tokens come, it
// ends), and it keeps a model of the worker: every outstanding request with the
// rows and tokens that it is expected to need still, in the order in which they get
// a sequence, and what rows and tokens cost, which it measures (see costs). From
// these it foretells when each request begins and ends (see forecast).
//
// # Retry-After comes true
//
// Each shed request is promised a moment at which there will be room for it. The
// promise is kept in a ledger and counts as a request that arrives then: later
// promises queue behind it, so hundreds that are shed at the same moment return one
// after the other and not together, and a newcomer is let in only if every promise
// would still find room. The moment is chosen so that the wait then is well below
// the limit, which leaves room for errors of the forecast. Who returns is known by
// what it asks for (Request.Key). A promise that nobody comes for is forgotten
// after a few seconds, and of an agent's other promises only as large a share counts from
// then on as it comes for.
package admit
