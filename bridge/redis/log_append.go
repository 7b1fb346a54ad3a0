package redis

import (
	"context"
	"errors"
	"hash/fnv"
	"strconv"
	"sync"
	"time"

	"github.com/redis/rueidis"

	"github.com/tacet-hub/tacet/bridge/signalr"
)

// logParts is in how many parts the groups are. What is in one is at one server of a
// cluster.
const logParts = 16

// logPart is the connection over which a part's groups are written, all of them where
// there is no cluster.
type logPart struct {
	line
	kept map[string]*bounding // of groups to which this node appends; Run's own
}

// bounding is how this node has bounded a group.
type bounding struct {
	mean    int // bytes of an event
	added   int // events since it was bounded
	renewed time.Time
}

// partOf is the part in which a group is.
func partOf(group string) int {
	h := fnv.New32a()
	_, _ = h.Write([]byte(group))
	return int(h.Sum32() % logParts)
}

func (c Config) logKey(what, group string) string {
	return c.Prefix + ":{" + c.Prefix + "-log-" + strconv.Itoa(partOf(group)) + "}:" + what + ":" + group
}

func (c Config) logEpochKey(group string) string  { return c.logKey("e", group) }
func (c Config) logNumberKey(group string) string { return c.logKey("n", group) }
func (c Config) logListKey(group string) string   { return c.logKey("l", group) }

// split has each part's own, in their order.
func (l *Log) split(n int, group func(int) string) (map[*logPart][]int, error) {
	c, err := l.s.connected()
	if err != nil {
		return nil, err
	}
	out := map[*logPart][]int{}
	for i := range n {
		p := &l.parts[0]
		if cluster(c) {
			p = &l.parts[partOf(group(i))]
		}
		out[p] = append(out[p], i)
	}
	return out, nil
}

// append puts a batch into the lists.
func (l *Log) append(ctx context.Context, list []appending) {
	parts, err := l.split(len(list), func(i int) string { return list[i].group })
	if err != nil {
		l.fail(list, err)
		return
	}
	var tasks sync.WaitGroup
	for p, places := range parts {
		some := make([]appending, len(places))
		for i, place := range places {
			some[i] = list[place]
		}
		tasks.Go(func() { l.appendTo(ctx, p, some) })
	}
	tasks.Wait()
}

// appendTo puts what belongs to a part into its lists. What finds no epoch is tried again
// when there is one.
func (l *Log) appendTo(ctx context.Context, p *logPart, list []appending) {
	var err error
	for range logTries {
		if list, err = l.try(ctx, p, byGroup(list)); err != nil || len(list) == 0 {
			break
		}
		if err = l.beginIn(ctx, p, groupsOf(list), nil); err != nil {
			break
		}
	}
	if err == nil {
		err = errors.New("redis: the epochs of a group do not rest")
	}
	l.fail(list, err)
}

// byGroup has what goes to one group together, in its order.
func byGroup(list []appending) (out [][]appending) {
	at := map[string]int{}
	for _, a := range list {
		i, ok := at[a.group]
		if !ok {
			i = len(out)
			at[a.group], out = i, append(out, nil)
		}
		out[i] = append(out[i], a)
	}
	return out
}

func groupsOf(list []appending) (groups []string) {
	for _, same := range byGroup(list) {
		groups = append(groups, same[0].group)
	}
	return groups
}

// try sends a batch once, each group's in a transaction, and answers what has found no
// epoch; with an error, all.
func (l *Log) try(ctx context.Context, p *logPart, batch [][]appending) (again []appending, err error) {
	ends := make([]int, len(batch))
	out, err := p.do(ctx, func(b rueidis.Builder) (cmds rueidis.Commands) {
		for i, same := range batch {
			cmds = append(cmds, l.transaction(b, p, same)...)
			ends[i] = len(cmds) - 1
		}
		return cmds
	})
	for i, same := range batch {
		if err != nil {
			again = append(again, same...)
			continue
		}
		switch last, there, err := placed(out[ends[i]], len(same)); {
		case err != nil:
			l.fail(same, err)
		case !there:
			again = append(again, same...)
		default:
			l.count.appended.Add(uint64(len(same)))
			for j, a := range same {
				a.placed(signalr.Position{Epoch: last.Epoch, Offset: last.Offset - uint64(len(same)-1-j)}, nil)
			}
		}
	}
	return again, err
}

// transaction appends to a group where it has a list, and now and then bounds that.
func (l *Log) transaction(b rueidis.Builder, p *logPart, same []appending) rueidis.Commands {
	cfg, group, now := l.s.cfg, same[0].group, time.Now()
	k := p.bounding(group)
	texts := make([]string, len(same))
	for i, a := range same {
		k.mean += (len(a.record) - k.mean) / 16
		texts[i] = eventText(now, a.record)
	}
	cmds := rueidis.Commands{b.Multi().Build(), b.Get().Key(cfg.logEpochKey(group)).Build(),
		b.Rpushx().Key(cfg.logListKey(group)).Element(texts...).Build(), b.Incrby().Key(cfg.logNumberKey(group)).Increment(int64(len(same))).Build()}
	if k.added += len(same); k.added >= logTrim {
		most := max(logFewest, min(logEvents, logBytes/max(k.mean, 1)))
		cmds, k.added = append(cmds, b.Ltrim().Key(cfg.logListKey(group)).Start(-int64(most)).Stop(-1).Build()), 0
	}
	if now.Sub(k.renewed) > logRenew {
		cmds, k.renewed = append(cmds, l.renewal(b, group)...), now
	}
	return append(cmds, b.Exec().Build())
}

// renewal puts the end of a group off.
func (l *Log) renewal(b rueidis.Builder, group string) (cmds rueidis.Commands) {
	cfg := l.s.cfg
	for _, key := range []string{cfg.logListKey(group), cfg.logNumberKey(group), cfg.logEpochKey(group)} {
		cmds = append(cmds, b.Pexpire().Key(key).Milliseconds(logLife.Milliseconds()).Build())
	}
	return cmds
}

func (p *logPart) bounding(group string) *bounding {
	k := p.kept[group]
	if k == nil {
		if len(p.kept) >= logGroups {
			clear(p.kept)
		}
		k = &bounding{mean: 256}
		p.kept[group] = k
	}
	return k
}

// placed reads where the last of n events came to stand; there is false where the group
// has no epoch.
func placed(exec rueidis.RedisResult, n int) (last signalr.Position, there bool, err error) {
	each, err := exec.ToArray()
	if err != nil {
		return last, false, err
	}
	for _, m := range each {
		if err := m.Error(); err != nil && !rueidis.IsRedisNil(err) {
			return last, false, err
		}
	}
	if len(each) < 3 {
		return last, false, errors.New("redis: a transaction answers too little")
	}
	s := standing{}
	s.epoch, _ = each[0].ToString()
	s.length, _ = each[1].AsInt64()
	s.number, _ = each[2].AsInt64()
	return s.position(), s.whole() && s.number >= int64(n), nil
}

// eventText is an event as it is in the list: when it came, in milliseconds, and the
// record.
func eventText(t time.Time, record []byte) string {
	head := strconv.AppendInt(make([]byte, 0, 16+len(record)), t.UnixMilli(), 10)
	return rueidis.BinaryString(append(append(head, ' '), record...))
}
