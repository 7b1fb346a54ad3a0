package redis

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/redis/rueidis"

	"github.com/tacet-hub/tacet/bridge/signalr"
)

const (
	readTries = 8  // of one look at a list, while others append to it
	readFirst = 16 // how many events are read at first
)

// read answers where a group stands, and of the newest events at most so many, oldest
// first, the last of which stands there. It reads where the group stands before the list
// and after it: so no connection is waited for, and no node waits for a reader.
func (l *Log) read(ctx context.Context, group string, most int64) (s standing, texts []string, err error) {
	for range readTries {
		out, err := l.s.do(ctx, func(b rueidis.Builder) rueidis.Commands {
			list := b.Lrange().Key(l.s.cfg.logListKey(group)).Start(-most).Stop(-1).Build()
			return append(append(l.ask(b, group), list), l.ask(b, group)...)
		})
		if err != nil {
			return s, nil, err
		}
		before, e1 := standingOf(out[0], out[1])
		after, e2 := standingOf(out[3], out[4])
		texts, e3 := out[2].AsStrSlice()
		if err = errors.Join(e1, e2, e3); err != nil {
			return s, nil, err
		}
		if before.position() == after.position() {
			return after, texts, nil
		}
	}
	return s, nil, fmt.Errorf("redis: group %s does not rest", group)
}

// event is one of a group's list: its number, when it came, and its record.
type event struct {
	offset uint64
	ms     int64
	record string
}

// events numbers what was read. The mark, at 0, is none.
func (s standing) events(texts []string) (list []event) {
	first := s.number - int64(len(texts)) + 1
	for i, text := range texts {
		head, record, ok := strings.Cut(text, " ")
		ms, err := strconv.ParseInt(head, 10, 64)
		if n := first + int64(i); ok && err == nil && n > 0 {
			list = append(list, event{uint64(n), ms, record})
		}
	}
	return list
}

// Since implements signalr.Log.
func (l *Log) Since(ctx context.Context, group string, from signalr.Position) (list []signalr.Record, gap bool, err error) {
	if _, err := strconv.ParseUint(from.Epoch, 10, 64); err != nil {
		return nil, true, nil
	}
	most := int64(readFirst)
	s, texts, err := l.read(ctx, group, most)
	for err == nil && s.epoch == from.Epoch && int64(len(texts)) == most && s.number-int64(min(from.Offset, 1<<62)) > most {
		most = s.number - int64(from.Offset) + readFirst
		s, texts, err = l.read(ctx, group, most)
	}
	switch {
	case err != nil:
		return nil, false, err
	case s.epoch != from.Epoch:
		list, err = l.rest(ctx, group, from)
		return list, true, err
	case !s.whole(), s.position().Offset < from.Offset:
		return nil, true, nil
	}
	list, gap = s.records(texts, from.Offset)
	return list, gap, nil
}

// rest is what an epoch that is over has behind a position.
func (l *Log) rest(ctx context.Context, group string, from signalr.Position) ([]signalr.Record, error) {
	cfg := l.s.cfg
	out, err := l.s.do(ctx, func(b rueidis.Builder) rueidis.Commands {
		return rueidis.Commands{b.Get().Key(former(cfg.logNumberKey(group), from.Epoch)).Build(),
			b.Lrange().Key(former(cfg.logListKey(group), from.Epoch)).Start(0).Stop(-1).Build()}
	})
	if err != nil {
		return nil, err
	}
	s := standing{epoch: from.Epoch}
	if s.number, err = out[0].AsInt64(); rueidis.IsRedisNil(err) {
		return nil, nil
	}
	texts, e := out[1].AsStrSlice()
	if err = errors.Join(err, e); err != nil {
		return nil, err
	}
	list, _ := s.records(texts, from.Offset)
	return list, nil
}

// records are the events behind an offset that are not too old; gap is that some are
// missing.
func (s standing) records(texts []string, from uint64) (list []signalr.Record, gap bool) {
	oldest, next := time.Now().Add(-logAge).UnixMilli(), from+1
	for _, e := range s.events(texts) {
		if e.offset <= from || e.ms < oldest {
			continue
		}
		gap = gap || e.offset != next
		next = e.offset + 1
		list = append(list, signalr.Record{At: signalr.Position{Epoch: s.epoch, Offset: e.offset}, Body: []byte(e.record)})
	}
	return list, gap || next <= s.position().Offset
}

// Before answers where a group stood at an instant: the position behind which everything
// lies that came later. Of what is gone it lies in front of the oldest that is kept.
// false is that the group has no epoch, or the server is away.
func (l *Log) Before(ctx context.Context, group string, t time.Time) (at signalr.Position, ok bool) {
	s, texts, err := l.read(ctx, group, logEvents*2)
	if err != nil || !s.whole() {
		return at, false
	}
	for _, e := range s.events(texts) {
		if e.ms > t.UnixMilli() {
			return signalr.Position{Epoch: s.epoch, Offset: e.offset - 1}, true
		}
	}
	return s.position(), true
}
