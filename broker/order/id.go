package order

import (
	"crypto/rand"
	"sync"
	"time"

	"github.com/tacet-hub/tacet/broker/area"
)

// alphabet is Crockford's base 32 in lower case: in ASCII order, so that ids
// sort by time, and without i, l, o and u, so that people read them aloud.
const alphabet = "0123456789abcdefghjkmnpqrstvwxyz"

const (
	timeDigits   = 9 // 45 bits of milliseconds: until the year 3084
	randomDigits = 5 // 25 bits: two nodes in one millisecond, or a clock that was set back
)

// ids makes ids of orders: "o-", the time, chance. It is safe for concurrent
// use.
type ids struct {
	mu   sync.Mutex
	last int64 // milliseconds of the newest id: no two of one process share one
}

func (g *ids) next(now time.Time) area.WorkID {
	g.mu.Lock()
	g.last = max(now.UnixMilli(), g.last+1)
	ms := g.last
	g.mu.Unlock()
	var b [2 + timeDigits + randomDigits]byte
	b[0], b[1] = 'o', '-'
	for i := 1 + timeDigits; i > 1; i-- {
		b[i] = alphabet[ms&31]
		ms >>= 5
	}
	chance := b[2+timeDigits:]
	_, _ = rand.Read(chance) // never fails (crypto/rand)
	for i, c := range chance {
		chance[i] = alphabet[c&31]
	}
	return area.WorkID(b[:])
}
