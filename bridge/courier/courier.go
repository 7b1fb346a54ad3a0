package courier

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tacet-hub/tacet/bridge/backplane"
	"github.com/tacet-hub/tacet/broker/clip"
)

// Kinds of the courier's questions and words.
const (
	kindWho    = backplane.KindUser + 32 // who has a clip
	kindPiece  = backplane.KindUser + 33 // lay a piece of it down
	kindRemove = backplane.KindUser + 34 // remove it
	kindNews   = backplane.KindUser + 35 // there is a new one
)

// newsTopic is what all nodes listen to.
const newsTopic = "clips"

// Bounds and times.
const (
	mostNews   = 1024
	carriers   = 2  // the store writes four newcomers at a time: two are left for those that people send
	askers     = 16 // questions who has a clip
	pieceBytes = 256 << 10
	whoTime    = 2 * time.Second // for an answer who has a clip
	pieceTime  = 5 * time.Second // for a piece
	fetchTime  = time.Minute     // for a clip that was announced
	shelfTime  = 30 * time.Second
)

// ErrSilent is that of what not all nodes have done.
var ErrSilent = errors.New("courier: a node does not answer")

// Clips keeps the clips of this node: a clip.Store.
type Clips interface {
	Get(sum clip.Sum) (clip.Info, bool)
	Open(sum clip.Sum) (*os.File, clip.Info, error)
	Put(ctx context.Context, r io.Reader, about clip.About) (info clip.Info, known bool, err error)
	Remove(sum clip.Sum) error
}

// Shelf is where bytes lie for a while, for whichever node takes them. Its methods
// are safe for concurrent use, and block for the server that the nodes share.
type Shelf interface {
	// Lay puts bytes down under a name that nobody else has; after so long they are
	// gone.
	Lay(ctx context.Context, name string, b []byte, long time.Duration) error
	// Take answers what lies under a name, and takes it away. It is an error where
	// there is nothing.
	Take(ctx context.Context, name string) ([]byte, error)
}

// Courier brings clips. Its methods are safe for concurrent use.
type Courier struct {
	mux   *backplane.Mux
	clips Clips
	shelf Shelf
	log   *slog.Logger

	news  chan clip.Sum
	asks  chan struct{} // who asks has one
	slots chan struct{} // who brings has one
	count struct{ fetched, bytes, unknown, failed, given, left atomic.Uint64 }

	mu    sync.Mutex
	under map[clip.Sum]*errand
}

// errand is a clip that is being brought.
type errand struct {
	done chan struct{} // closed when the rest is there
	info clip.Info
	err  error
}

// New makes the courier of a node. It registers with the mux, which must not run
// yet.
func New(mux *backplane.Mux, clips Clips, shelf Shelf, log *slog.Logger) *Courier {
	c := &Courier{mux: mux, clips: clips, shelf: shelf, log: log, news: make(chan clip.Sum, mostNews), asks: make(chan struct{}, askers), slots: make(chan struct{}, carriers), under: map[clip.Sum]*errand{}}
	mux.OnAsk(kindWho, c.who)
	mux.OnAsk(kindPiece, c.piece)
	mux.OnAsk(kindRemove, c.remove)
	mux.OnHear(kindNews, c.hear)
	mux.Want(newsTopic, true)
	return c
}

// Run brings what is announced until ctx ends; it returns nil.
func (c *Courier) Run(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case sum := <-c.news:
			c.bring(ctx, sum)
		}
	}
}

func (c *Courier) bring(ctx context.Context, sum clip.Sum) {
	ctx, stop := context.WithTimeout(ctx, fetchTime)
	defer stop()
	if _, err := c.Fetch(ctx, sum); err != nil && ctx.Err() == nil {
		c.log.Warn("announced clip not brought", "rule", sum.Hex(), "err", err)
	}
}

// Announce tells the other nodes of a clip that has come to this one. It does not
// block.
func (c *Courier) Announce(sum clip.Sum) {
	if err := c.mux.Publish(newsTopic, backplane.Envelope{Kind: kindNews, Body: sum[:]}); err != nil {
		c.log.Warn("clip not announced to the other nodes", "rule", sum.Hex(), "err", err)
	}
}

// hear has an announced clip brought.
func (c *Courier) hear(e backplane.Envelope) {
	sum, ok := sumIn(e.Body)
	if !ok {
		return
	}
	if _, here := c.clips.Get(sum); here {
		return
	}
	select {
	case c.news <- sum:
	default:
		c.count.left.Add(1)
	}
}

// sumIn is the name of a clip on the wire.
func sumIn(b []byte) (sum clip.Sum, ok bool) {
	return sum, copy(sum[:], b) == len(sum) && len(b) == len(sum)
}

// Stats counts since the start.
type Stats struct {
	Fetched uint64 // clips brought from other nodes
	Bytes   uint64 // of them
	Unknown uint64 // asked for, and no node had them
	Failed  uint64 // not brought for another reason
	Given   uint64 // pieces laid down for other nodes
	Left    uint64 // announced, and left until they are asked for
}

// Stats is a snapshot of the counters.
func (c *Courier) Stats() Stats {
	n := &c.count
	return Stats{Fetched: n.fetched.Load(), Bytes: n.bytes.Load(), Unknown: n.unknown.Load(), Failed: n.failed.Load(), Given: n.given.Load(), Left: n.left.Load()}
}
