package redis

import (
	"context"
	"slices"
	"sync"

	"github.com/redis/rueidis"

	"github.com/tacet-hub/tacet/bridge/backplane"
)

// parcel is an envelope on its way to a channel.
type parcel struct {
	to channel
	e  backplane.Envelope
}

func (p *parcel) cost() int { return len(p.e.Body) + len(p.e.Target) + 64 + 16*len(p.e.Except) }

// outbox is what waits to be sent, bounded in bytes. What does not fit is refused,
// and leaves a hole in the channel's numbers, so that the receivers are told.
type outbox struct {
	most int
	wake chan struct{}

	mu    sync.Mutex
	list  []parcel
	bytes int // of the list, and of what the sender still holds
	holes map[channel]uint64
	count uint64
	beats bool
}

func newOutbox(most int) *outbox {
	return &outbox{most: most, wake: make(chan struct{}, 1), holes: map[channel]uint64{}}
}

func (o *outbox) put(p parcel) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.bytes+p.cost() > o.most {
		o.count++
		o.holes[p.to]++
		return backplane.ErrFull
	}
	o.bytes += p.cost()
	o.list = append(o.list, p)
	o.nudge()
	return nil
}

// beat has the sender tell each channel which number comes next.
func (o *outbox) beat() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.beats = true
	o.nudge()
}

func (o *outbox) nudge() {
	select {
	case o.wake <- struct{}{}:
	default:
	}
}

func (o *outbox) refused() uint64 {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.count
}

// take gets all that waits; into is memory for the next.
func (o *outbox) take(into []parcel) (list []parcel, holes map[channel]uint64, beat bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	list, o.list = o.list, into[:0]
	if len(o.holes) > 0 {
		holes, o.holes = o.holes, map[channel]uint64{}
	}
	beat, o.beats = o.beats, false
	return list, holes, beat
}

// sent gives room for n bytes back.
func (o *outbox) sent(n int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.bytes -= n
}

// letter is a batch in its wire form.
type letter struct {
	to   channel
	b    string
	keep bool // in the history; a beat is not
}

// sender numbers what goes over each channel and packs it.
type sender struct {
	p    *Plane
	next map[channel]uint64
	open map[channel]*backplane.Batch
	size map[channel]int
	out  []letter
	buf  []byte
}

// send is the goroutine that sends, until ctx ends; then it sends once more what
// waits.
func (p *Plane) send(ctx context.Context) {
	s := &sender{p: p, next: map[channel]uint64{}, open: map[channel]*backplane.Batch{}, size: map[channel]int{}}
	var spare []parcel
	for done := false; !done; {
		select {
		case <-ctx.Done():
			done = true
		case <-p.out.wake:
		}
		list, holes, beat := p.out.take(spare)
		spare = list
		bytes := s.pack(list, holes, beat)
		s.deliver(ctx)
		p.out.sent(bytes)
		clear(list)
	}
}

// pack makes letters of what was taken.
func (s *sender) pack(list []parcel, holes map[channel]uint64, beat bool) (bytes int) {
	s.out = s.out[:0]
	for i := range list {
		bytes += list[i].cost()
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
	return bytes
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
	s.out = append(s.out, letter{to: ch, b: string(s.buf), keep: true})
}

// tell sends a batch without envelopes: the number that comes next.
func (s *sender) tell(ch channel) {
	b := backplane.Batch{Origin: s.p.cfg.Node, Life: s.p.self.Life, First: s.number(ch)}
	s.buf = backplane.AppendBatch(s.buf[:0], &b)
	s.out = append(s.out, letter{to: ch, b: string(s.buf)})
}

// pipeline is how many letters go in one pipeline.
const pipeline = 256

// deliver sends the letters, again and again until the server has taken them: who
// gets one twice notices. After the end of ctx it is tried once.
func (s *sender) deliver(ctx context.Context) {
	var b backoff
	for len(s.out) > 0 {
		n := min(len(s.out), pipeline)
		err := s.post(ctx, s.out[:n])
		if err == nil {
			s.p.count.batches.Add(uint64(n))
			s.out, b = slices.Delete(s.out, 0, n), backoff{}
			continue
		}
		if ctx.Err() != nil {
			return
		}
		s.p.state(false)
		pause(ctx, b.next())
	}
}

// post sends some letters: history first, so that who hears the batch finds those
// before it there.
func (s *sender) post(ctx context.Context, list []letter) error {
	c, err := s.p.s.connected()
	if err != nil {
		return err
	}
	sharded := cluster(c)
	_, err = s.p.s.do(context.WithoutCancel(ctx), func(b rueidis.Builder) (out rueidis.Commands) {
		for _, l := range list {
			if l.keep {
				out = append(out, b.Xadd().Key(s.p.cfg.stream(l.to)).Maxlen().Almost().Threshold(itoa(s.p.cfg.History)).Id("*").FieldValue().FieldValue("b", l.b).Build())
			}
			if sharded {
				out = append(out, b.Spublish().Channel(s.p.cfg.name(l.to)).Message(l.b).Build())
			} else {
				out = append(out, b.Publish().Channel(s.p.cfg.name(l.to)).Message(l.b).Build())
			}
		}
		return out
	})
	return err
}
