package redis

import (
	"context"
	"slices"
	"time"

	"github.com/redis/rueidis"

	"github.com/tacet-hub/tacet/bridge/backplane"
)

// letter is a batch in its wire form.
type letter struct {
	to   channel
	b    string
	cost int  // of its parcels, in the outbox
	keep bool // in the history; a beat is not

	commands int // that it was, when it was last sent
}

// sender numbers what goes over each channel and packs it.
type sender struct {
	p    *Plane
	next map[channel]uint64
	open map[channel]*backplane.Batch
	size map[channel]int
	out  []letter
	buf  []byte
	free [][]backplane.Envelope // lists of batches that are sealed, for the next

	now  []letter // of these, what is posted together
	cmds rueidis.Commands

	late []letter         // what the server has not taken, in order
	held map[channel]bool // channels that have late ones
	kept map[channel]tidy // of their histories
	away bool             // it takes nothing: all is late
	many bool             // it is a cluster, of which each server may be away by itself
	wait backoff
}

func newSender(p *Plane) *sender {
	return &sender{p: p, next: map[channel]uint64{}, open: map[channel]*backplane.Batch{}, size: map[channel]int{}, held: map[channel]bool{}, kept: map[channel]tidy{}}
}

// send is the goroutine that sends, until ctx ends; then it sends once more what
// waits. What one server of a cluster does not take waits, with all that follows it
// on its channel, and does not hold up what goes to the others.
func (p *Plane) send(ctx context.Context) {
	s := newSender(p)
	again := time.NewTimer(0)
	defer again.Stop()
	var spare []parcel
	for done := false; !done; {
		retry := false
		select {
		case <-ctx.Done():
			done, retry = true, true
		case <-p.out.wake:
		case <-again.C:
			retry = true
		}
		if len(s.late) > 0 && (retry || p.out.beating()) { // at a beat the server is there
			s.retry(ctx)
			again.Reset(s.wait.next())
		}
		if s.away && !done {
			continue // what waits goes in few batches then, and the history keeps so many of these
		}
		list, holes, beat := p.out.take(spare)
		spare = list
		s.pack(list, holes, beat)
		clear(list)
		if calm := len(s.late) == 0; s.deliver(ctx) && calm {
			again.Reset(s.wait.next())
		}
	}
}

// pack makes letters of what was taken.
func (s *sender) pack(list []parcel, holes map[channel]uint64, beat bool) {
	for i := range list {
		s.add(&list[i])
	}
	for ch := range s.open {
		s.seal(ch)
	}
	for ch, n := range holes {
		s.next[ch] = s.number(ch) + n
		s.tell(ch)
	}
	if beat {
		for ch := range s.next {
			s.tell(ch)
		}
	}
}

func (s *sender) number(ch channel) uint64 { return max(1, s.next[ch]) }

func (s *sender) add(p *parcel) {
	b := s.open[p.to]
	if b != nil && (s.size[p.to] >= batchBytes || !backplane.Room(s.size[p.to], &p.e)) {
		s.seal(p.to)
		b = nil
	}
	if b == nil {
		b = &backplane.Batch{Origin: s.p.cfg.Node, Life: s.p.self.Life, First: s.number(p.to)}
		if n := len(s.free); n > 0 {
			b.List, s.free = s.free[n-1], s.free[:n-1]
		}
		s.open[p.to], s.size[p.to] = b, 0
	}
	b.List = append(b.List, p.e)
	s.size[p.to] += p.cost()
	s.next[p.to] = b.First + uint64(len(b.List))
	s.p.count.published.Add(1)
	s.p.count.bytes.Add(uint64(len(p.e.Body)))
}

func (s *sender) seal(ch channel) {
	b := s.open[ch]
	delete(s.open, ch)
	s.buf = backplane.AppendBatch(s.buf[:0], b)
	s.out = append(s.out, letter{to: ch, b: string(s.buf), cost: s.size[ch], keep: true})
	clear(b.List)
	s.free = append(s.free, b.List[:0])
}

// tell sends a batch without envelopes: the number that comes next. A channel that
// is held up sees it when it goes on.
func (s *sender) tell(ch channel) {
	if s.held[ch] || s.away {
		return
	}
	b := backplane.Batch{Origin: s.p.cfg.Node, Life: s.p.self.Life, First: s.number(ch)}
	s.buf = backplane.AppendBatch(s.buf[:0], &b)
	s.out = append(s.out, letter{to: ch, b: string(s.buf)})
}

// pipeline is how many letters go in one pipeline.
const pipeline = 256

// deliver sends the letters that were packed; late tells whether some have to be
// sent again.
func (s *sender) deliver(ctx context.Context) (late bool) {
	for list := range slices.Chunk(s.out, pipeline) {
		s.try(ctx, list)
	}
	clear(s.out)
	s.out = s.out[:0]
	return s.told()
}

// retry sends what is late, again and again until the server has taken it: who gets
// one twice notices.
func (s *sender) retry(ctx context.Context) {
	list, probe := s.late, 0
	if s.away { // one is enough to ask with: what is not answered may be done all the same
		probe = 1
	}
	s.late, s.away = nil, false
	clear(s.held)
	s.try(ctx, list[:probe])
	list = list[probe:]
	for part := range slices.Chunk(list, pipeline) {
		s.try(ctx, part)
	}
	s.told()
}

// told says whether the server takes what it is given.
func (s *sender) told() (late bool) {
	late = len(s.late) > 0
	if !late {
		s.wait = backoff{}
	}
	s.p.posts(!late)
	return late
}

// try sends those letters that need not wait for others of their channel.
func (s *sender) try(ctx context.Context, list []letter) {
	s.now = s.now[:0]
	for _, l := range list {
		if s.away || s.held[l.to] {
			s.late = append(s.late, l)
		} else {
			s.now = append(s.now, l)
		}
	}
	if len(s.now) == 0 {
		return
	}
	taken := 0
	for i, ok := range s.post(ctx, s.now) {
		l := s.now[i]
		if !ok || s.held[l.to] {
			delete(s.kept, l.to) // whatever became of it
			s.held[l.to] = true
			s.late = append(s.late, l)
			continue
		}
		taken++
		s.p.out.sent(l.cost)
	}
	s.away = taken == 0 && !s.many
	s.p.count.batches.Add(uint64(taken))
	clear(s.now)
}

// post sends letters: history first, so that who hears the batch finds those before
// it there. It answers for each whether the server has taken it.
func (s *sender) post(ctx context.Context, list []letter) (taken []bool) {
	taken = make([]bool, len(list))
	c, err := s.p.s.connected()
	if err != nil {
		return taken
	}
	s.cmds, s.many = s.cmds[:0], cluster(c)
	for i := range list {
		s.cmds = append(s.cmds, s.commands(&list[i], c.B(), s.many)...)
	}
	ctx, stop := context.WithTimeout(context.WithoutCancel(ctx), patience)
	defer stop()
	answers := c.DoMulti(ctx, pinned(s.cmds)...)
	for i := range list {
		n := list[i].commands
		taken[i] = !slices.ContainsFunc(answers[:n], func(r rueidis.RedisResult) bool { return r.Error() != nil })
		answers = answers[n:]
	}
	return taken
}

// tidy is how a channel's history was last tidied up by this node.
type tidy struct {
	since int       // batches that were added since
	at    time.Time // when its expiry was set
}

// How long a history lives to which nothing is added, and how often that is said.
const (
	historyLife  = time.Hour
	historyRenew = 10 * time.Minute
)

// commands are what a letter is to the server. A history is cut each time that a node
// has added an eighth of it, so that it is at most so much longer for each node.
func (s *sender) commands(l *letter, b rueidis.Builder, sharded bool) (list rueidis.Commands) {
	cfg := s.p.cfg
	if l.keep {
		key, t := cfg.history(l.to), s.kept[l.to]
		list = append(list, b.Rpush().Key(key).Element(l.b).Build())
		if t.since++; t.since > cfg.History/8 || t.at.IsZero() {
			list, t.since = append(list, b.Ltrim().Key(key).Start(-int64(cfg.History)).Stop(-1).Build()), 0
		}
		if time.Since(t.at) > historyRenew {
			list, t.at = append(list, b.Pexpire().Key(key).Milliseconds(historyLife.Milliseconds()).Build()), time.Now()
		}
		s.kept[l.to] = t
	}
	if sharded {
		list = append(list, b.Spublish().Channel(cfg.name(l.to)).Message(l.b).Build())
	} else {
		list = append(list, b.Publish().Channel(cfg.name(l.to)).Message(l.b).Build())
	}
	l.commands = len(list)
	return list
}
