package redis

import (
	"context"
	"crypto/rand"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/redis/rueidis"

	"github.com/tacet-hub/tacet/broker/shared"
)

// The changes of the tables are a list at the server, oldest first, bounded in its
// length. A change has a name there, which is never given twice: where one finds again
// what one has read last, nothing has come to be missing after it, whether the server
// was emptied since, or set back, or another has taken its place.
//
// A change comes into the list in the transaction that makes it. That ends with a word
// on a channel, so that who waits at the end of the list need not ask.
const (
	changesKept  = 16384       // of the list
	changesLook  = time.Second // how often it is looked at without a word: that the server was emptied is told by nobody
	changesFirst = 32          // how many are read of its end at first
	changesMore  = 8           // times as many are read where those are not enough
)

func (c Config) changesKey() string     { return c.tablesKey("list") }
func (c Config) changesChannel() string { return c.tablesKey("changed") }

// namer gives names of changes. Other processes give others.
type namer struct {
	life  string
	count atomic.Uint64
}

func newNamer() *namer { return &namer{life: rand.Text()[:16]} }

func (n *namer) next() string { return n.life + "." + strconv.FormatUint(n.count.Add(1), 36) }

// changeText is a change as it is in the list: its name, and where it was. A key may
// have blanks, and is last.
func changeText(name string, c shared.Change) string {
	return strings.Join([]string{name, c.Stamp.String(), c.Table, c.Key}, " ")
}

// parseChange is its inverse. What only marks a place is a name alone, and no change.
func parseChange(text string) (name string, c shared.Change, ok bool) {
	part := strings.SplitN(text, " ", 4)
	if len(part) < 4 {
		return part[0], c, false
	}
	stamp, err := shared.ParseStamp(part[1])
	return part[0], shared.Change{Name: shared.Name{Table: part[2], Key: part[3]}, Stamp: stamp}, err == nil && stamp.Time != 0
}

// add makes the commands by which texts come into the list; they belong into a
// transaction.
func (t *Tables) add(b rueidis.Builder, texts ...string) rueidis.Commands {
	key := t.s.cfg.changesKey()
	return rueidis.Commands{b.Rpush().Key(key).Element(texts...).Build(), b.Ltrim().Key(key).Start(-int64(t.kept)).Stop(-1).Build()}
}

// ring tells the others that there are changes.
func (t *Tables) ring(b rueidis.Builder) rueidis.Completed {
	channel := t.s.cfg.changesChannel()
	if t.write.shards {
		return b.Spublish().Channel(channel).Message(t.names.life).Build()
	}
	return b.Publish().Channel(channel).Message(t.names.life).Build()
}

// Mark implements shared.Common: a name in the list is the place.
func (t *Tables) Mark(ctx context.Context) (mark, epoch string, err error) {
	key := t.s.cfg.epochKey()
	mark = t.names.next()
	out, err := t.write.do(ctx, func(b rueidis.Builder) rueidis.Commands {
		return append(rueidis.Commands{b.Set().Key(key).Value(rand.Text()).Nx().Build(), b.Get().Key(key).Build()}, t.add(b, mark)...)
	})
	if err != nil {
		return "", "", err
	}
	epoch, err = out[1].ToString()
	return mark, epoch, err
}

// Since implements shared.Common.
func (t *Tables) Since(ctx context.Context, mark string) (list []shared.Change, next string, err error) {
	t.news.hush()
	if list, next, err = t.after(ctx, mark); err != nil || next != mark {
		return list, next, err
	}
	if err = t.news.wait(ctx, t.look); err != nil {
		return nil, "", err
	}
	return t.after(ctx, mark)
}

// after reads what is behind the mark, from the end of the list back until the mark is
// found.
func (t *Tables) after(ctx context.Context, mark string) (list []shared.Change, next string, err error) {
	for most := int64(changesFirst); ; most *= changesMore {
		texts, err := t.end(ctx, most)
		if err != nil {
			return nil, "", err
		}
		if list, next, ok := behind(texts, mark); ok {
			return list, next, nil
		}
		if int64(len(texts)) < most {
			return nil, "", shared.ErrGap
		}
	}
}

// end reads the newest of the list, oldest first.
func (t *Tables) end(ctx context.Context, most int64) ([]string, error) {
	out, err := t.news.do(ctx, func(b rueidis.Builder) rueidis.Commands {
		return rueidis.Commands{b.Lrange().Key(t.s.cfg.changesKey()).Start(-most).Stop(-1).Build()}
	})
	if err != nil {
		return nil, err
	}
	return out[0].AsStrSlice()
}

// behind answers the changes behind the mark, and the name of the last; false: the mark
// is not there.
func behind(texts []string, mark string) (list []shared.Change, last string, ok bool) {
	last = mark
	for i, text := range slices.Backward(texts) {
		name, c, is := parseChange(text)
		if name == mark {
			slices.Reverse(list)
			return list, last, true
		}
		if i == len(texts)-1 {
			last = name
		}
		if is {
			list = append(list, c)
		}
	}
	return nil, "", false
}
