package replay

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"sync"

	"github.com/tacet-hub/tacet/bridge/signalr"
)

// ErrAway is what a [Common] answers while it is away.
var ErrAway = errors.New("replay: the log is away")

// Common numbers and keeps the events of groups for several servers of one process: what
// a Redis-compatible server is for processes (package bridge/redis). It is a
// [signalr.Log], for tests and programs that run several servers. Of each group the
// newest Most events are kept. It is safe for concurrent use.
type Common struct {
	numbers func(group string) bool
	most    int

	mu     sync.Mutex
	groups map[string]*common
	epoch  uint64
	away   bool
}

// common is one group.
type common struct {
	at   signalr.Position
	list []signalr.Record // of earlier epochs, too
}

var _ signalr.Log = (*Common)(nil)

// NewCommon makes an empty one; numbers tells which groups it numbers, most how many
// events of each are kept; 0: 1,000.
func NewCommon(numbers func(group string) bool, most int) *Common {
	if most == 0 {
		most = 1000
	}
	return &Common{numbers: numbers, most: most, groups: map[string]*common{}}
}

// Away makes it fail, or be there again.
func (c *Common) Away(away bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.away = away
}

// Forget makes it empty.
func (c *Common) Forget() {
	c.mu.Lock()
	defer c.mu.Unlock()
	clear(c.groups)
}

// Snapshot keeps what it has of a group, to which restore sets it back.
func (c *Common) Snapshot(group string) (restore func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	var was common
	if g := c.groups[group]; g != nil {
		was = common{g.at, slices.Clone(g.list)}
	}
	return func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.groups[group] = &was
	}
}

// Numbers implements signalr.Log.
func (c *Common) Numbers(group string) bool { return c.numbers(group) }

// begin gives a group another epoch. The lock is held.
func (c *Common) begin(group string) *common {
	c.epoch++
	g := c.groups[group]
	if g == nil {
		g = &common{}
		c.groups[group] = g
	}
	g.at = signalr.Position{Epoch: strconv.FormatUint(c.epoch, 10)}
	return g
}

// Append implements signalr.Log.
func (c *Common) Append(group string, record []byte, placed func(signalr.Position, error)) {
	c.mu.Lock()
	if c.away {
		c.mu.Unlock()
		placed(signalr.Position{}, ErrAway)
		return
	}
	g := c.groups[group]
	if g == nil {
		g = c.begin(group)
	}
	g.at.Offset++
	at := g.at
	g.list = append(g.list, signalr.Record{At: at, Body: record})
	if len(g.list) > c.most {
		g.list = g.list[1:]
	}
	c.mu.Unlock()
	placed(at, nil)
}

// Open implements signalr.Log.
func (c *Common) Open(_ context.Context, groups, behind []string) (at []signalr.Position, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.away {
		return nil, ErrAway
	}
	for i, name := range groups {
		g := c.groups[name]
		if g == nil || behind[i] != "" && !signalr.Later(g.at.Epoch, behind[i]) {
			g = c.begin(name)
		}
		at = append(at, g.at)
	}
	return at, nil
}

// Since implements signalr.Log.
func (c *Common) Since(_ context.Context, group string, from signalr.Position) (list []signalr.Record, gap bool, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.away {
		return nil, false, ErrAway
	}
	g := c.groups[group]
	if g == nil {
		return nil, true, nil
	}
	for _, r := range g.list {
		if r.At.Epoch == from.Epoch && r.At.Offset > from.Offset {
			list = append(list, r)
		}
	}
	gap = g.at.Epoch != from.Epoch || g.at.Offset < from.Offset || uint64(len(list)) < g.at.Offset-from.Offset
	return list, gap, nil
}
