package share

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"time"

	"github.com/tacet-hub/tacet/broker/area"
	"github.com/tacet-hub/tacet/broker/clip"
)

// Config says who the device is among its neighbours.
type Config struct {
	Device area.DeviceID // needed
	// Roster is the newest roster document of the area; false: there is none, or
	// the device is no member. Needed; it is called often and must not block.
	Roster func() (area.Peers, bool)

	Conns  int // of a server; 0: 16
	AtOnce int // clips that a server gives at a time; 0: 4
	Rate   int // bytes a second that a server gives in all, 65536 or more; 0: 4 MiB
	Log    *slog.Logger
}

// Defaults and fixed bounds.
const (
	defaultConns  = 16
	defaultAtOnce = 4
	defaultRate   = 4 << 20
	leastRate     = piece

	piece      = 64 << 10         // bytes that are given at a time
	asksASec   = 50               // requests of all together; twice as many at once
	headTime   = 5 * time.Second  // for the head of a request
	pieceTime  = 10 * time.Second // for a piece to be taken
	idleTime   = 30 * time.Second // a connection stays open without a request
	mostHead   = 8 << 10          // bytes of a head
	closeTime  = time.Second      // at the end, for answers that are under way
	dialTime   = 500 * time.Millisecond
	askTime    = time.Second      // for a neighbour to say what it has
	awayTime   = 10 * time.Second // one that could not be reached is left alone
	asksAtOnce = 8
)

// Validate tells everything that is wrong with c at once.
func (c Config) Validate() error {
	var faults []error
	if !area.IsID(string(c.Device)) || c.Roster == nil {
		faults = append(faults, errors.New("share: device and roster are needed"))
	}
	if c.Conns < 0 || c.AtOnce < 0 || c.Rate != 0 && c.Rate < leastRate {
		faults = append(faults, fmt.Errorf("share: a bound is out of range: %d connections, %d at once, %d bytes a second", c.Conns, c.AtOnce, c.Rate))
	}
	return errors.Join(faults...)
}

func (c *Config) fill() {
	for _, d := range []struct {
		p *int
		n int
	}{{&c.Conns, defaultConns}, {&c.AtOnce, defaultAtOnce}, {&c.Rate, defaultRate}} {
		if *d.p == 0 {
			*d.p = d.n
		}
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
}

// Shelf is the clips of this device: the cache of package fetch is one. Its
// methods are safe for concurrent use.
type Shelf interface {
	// Look opens a clip that is here whole.
	Look(sum clip.Sum) (io.ReadSeekCloser, error)
	// Has tells whether a clip is here whole, and else whether it is on its way.
	Has(sum clip.Sum) (whole, coming bool)
}
