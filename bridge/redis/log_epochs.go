package redis

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/redis/rueidis"

	"github.com/tacet-hub/tacet/bridge/signalr"
)

// standing is what the server has of a group.
type standing struct {
	epoch          string // empty: none
	number, length int64  // of the newest event; of the list
}

// whole tells whether nothing of a group has come to be missing: the list has at most
// the events that were numbered, and the mark before them.
func (s standing) whole() bool {
	return s.epoch != "" && s.length > 0 && s.length <= s.number+1
}

func (s standing) position() signalr.Position {
	return signalr.Position{Epoch: s.epoch, Offset: uint64(max(0, s.number))}
}

// fits tells whether an epoch is behind the one named; any is, where none is.
func (s standing) fits(behind string) bool {
	return s.whole() && (behind == "" || signalr.Later(s.epoch, behind))
}

// next is the epoch to follow it, and the one named.
func (s standing) next(behind string) string {
	next := uint64(time.Now().UnixMilli())
	for _, text := range []string{s.epoch, behind} {
		if n, err := strconv.ParseUint(text, 10, 64); err == nil {
			next = max(next, n+1)
		}
	}
	return strconv.FormatUint(next, 10)
}

// ask makes the commands that ask how a group stands; standingOf reads the answers.
func (l *Log) ask(b rueidis.Builder, group string) rueidis.Commands {
	cfg := l.s.cfg
	return rueidis.Commands{b.Mget().Key(cfg.logEpochKey(group), cfg.logNumberKey(group)).Build(), b.Llen().Key(cfg.logListKey(group)).Build()}
}

func standingOf(pair, length rueidis.RedisResult) (s standing, err error) {
	each, err := pair.ToArray()
	if err == nil && len(each) != 2 {
		err = errors.New("redis: a group has no two values")
	}
	if err != nil {
		return s, err
	}
	s.epoch, _ = each[0].ToString()
	text, _ := each[1].ToString()
	s.number, _ = strconv.ParseInt(text, 10, 64)
	s.length, err = length.AsInt64()
	return s, err
}

// Open implements signalr.Log.
func (l *Log) Open(ctx context.Context, groups, behind []string) ([]signalr.Position, error) {
	if len(groups) == 0 { // only whether the server is there
		_, err := l.s.do(ctx, func(b rueidis.Builder) rueidis.Commands {
			return rueidis.Commands{b.Exists().Key(l.s.cfg.nodesKey()).Build()}
		})
		return nil, err
	}
	for range logTries {
		at, missing, err := l.tails(ctx, groups, behind)
		if err != nil || len(missing) == 0 {
			return at, err
		}
		if err := l.begin(ctx, groups, behind, missing); err != nil {
			return nil, err
		}
	}
	return nil, fmt.Errorf("redis: %d groups get no epoch: others begin some", len(groups))
}

// tails reads where groups stand, and puts their ends off. missing are the places of
// those that have no epoch behind that named.
func (l *Log) tails(ctx context.Context, groups, behind []string) (at []signalr.Position, missing []int, err error) {
	const each = 5 // commands
	out, err := l.s.do(ctx, func(b rueidis.Builder) (cmds rueidis.Commands) {
		for _, g := range groups {
			cmds = append(append(cmds, l.ask(b, g)...), l.renewal(b, g)...)
		}
		return cmds
	})
	if err != nil {
		return nil, nil, err
	}
	at = make([]signalr.Position, len(groups))
	for i := range groups {
		s, err := standingOf(out[each*i], out[each*i+1])
		if err != nil {
			return nil, nil, err
		}
		if at[i] = s.position(); !s.fits(behind[i]) {
			missing = append(missing, i)
		}
	}
	return at, missing, nil
}

// begin begins epochs for those groups whose places are named.
func (l *Log) begin(ctx context.Context, groups, behind []string, places []int) error {
	parts, err := l.split(len(places), func(i int) string { return groups[places[i]] })
	if err != nil {
		return err
	}
	for p, some := range parts {
		var names, than []string
		for _, i := range some {
			names, than = append(names, groups[places[i]]), append(than, behind[places[i]])
		}
		if err := l.beginIn(ctx, p, names, than); err != nil {
			return err
		}
	}
	return nil
}

// beginIn begins an epoch for each group of a part that has none, or none behind the one
// named; nil: any will do. Where another node begins one meanwhile nothing is done.
func (l *Log) beginIn(ctx context.Context, p *logPart, groups, behind []string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	next, err := l.watch(ctx, p, groups, behind)
	if err != nil {
		return err
	}
	out, err := p.doLocked(ctx, func(b rueidis.Builder) rueidis.Commands {
		if len(next) == 0 {
			return rueidis.Commands{b.Unwatch().Build()}
		}
		cmds := rueidis.Commands{b.Multi().Build()}
		for g, change := range next {
			cmds = append(cmds, l.birth(b, g, change)...)
		}
		return append(cmds, b.Exec().Build())
	})
	if err != nil || len(next) == 0 {
		return err
	}
	err = out[len(out)-1].Error()
	switch {
	case rueidis.IsRedisNil(err):
		return nil
	case err == nil:
		l.count.epochs.Add(uint64(len(next)))
	}
	return err
}

// watch watches the epochs of groups, and answers which of them have to get another. The
// caller holds the lock of the part.
func (l *Log) watch(ctx context.Context, p *logPart, groups, behind []string) (next map[string]birth, err error) {
	out, err := p.doLocked(ctx, func(b rueidis.Builder) rueidis.Commands {
		keys := make([]string, len(groups))
		for i, g := range groups {
			keys[i] = l.s.cfg.logEpochKey(g)
		}
		cmds := rueidis.Commands{b.Watch().Key(keys...).Build()}
		for _, g := range groups {
			cmds = append(cmds, l.ask(b, g)...)
		}
		return cmds
	})
	if err != nil {
		return nil, err
	}
	next = map[string]birth{}
	for i, g := range groups {
		s, err := standingOf(out[1+2*i], out[2+2*i])
		if err != nil {
			p.sever()
			return nil, err
		}
		than := ""
		if behind != nil {
			than = behind[i]
		}
		if !s.fits(than) {
			next[g] = birth{s, s.next(than)}
		}
	}
	return next, nil
}

// birth is the beginning of an epoch behind what a group was.
type birth struct {
	was   standing
	epoch string
}

// formerLife is for how long an epoch that is over can be read to its end.
const formerLife = time.Hour

// former is the key to which one of an epoch's goes when that is over.
func former(key, epoch string) string { return key + "/" + epoch }

func (l *Log) birth(b rueidis.Builder, group string, x birth) (cmds rueidis.Commands) {
	cfg, life := l.s.cfg, logLife.Milliseconds()
	list, number := cfg.logListKey(group), cfg.logNumberKey(group)
	if x.was.whole() {
		for _, key := range []string{list, number} {
			was := former(key, x.was.epoch)
			cmds = append(cmds, b.Rename().Key(key).Newkey(was).Build(), b.Pexpire().Key(was).Milliseconds(formerLife.Milliseconds()).Build())
		}
	}
	return append(cmds, b.Del().Key(list).Build(),
		b.Rpush().Key(list).Element("0 mark of "+cfg.Node).Build(), b.Pexpire().Key(list).Milliseconds(life).Build(),
		b.Set().Key(number).Value("0").PxMilliseconds(life).Build(), b.Set().Key(cfg.logEpochKey(group)).Value(x.epoch).PxMilliseconds(life).Build())
}
