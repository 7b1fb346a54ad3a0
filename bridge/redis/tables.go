package redis

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/redis/rueidis"

	"github.com/tacet-hub/tacet/broker/shared"
)

// Tables is the common copy of the tables that all nodes have: it implements
// shared.Common. Each table is two hashes, of stamps and of values; changes are a
// bounded stream of names and stamps. All of it has one hash tag. Each write is a
// transaction (WATCH, MULTI, EXEC) on the stamps of the tables that it names.
type Tables struct {
	s     *Server
	write line // for transactions
	wait  line // for what blocks
	kept  int  // names in the stream, about
}

// NewTables makes the common copy of a server. It does not connect.
func NewTables(s *Server) *Tables {
	return &Tables{s: s, write: line{s: s}, wait: line{s: s}, kept: changesKept}
}

var _ shared.Common = (*Tables)(nil)

const (
	changesKept  = 16384                  // names in the stream, about
	changesBlock = 250 * time.Millisecond // for how long one look at the stream waits: an end, and a server that was emptied, are noticed then
	changesMost  = 512                    // names that are read of it at once
	swapTries    = 64                     // times that a transaction is begun anew because others wrote meanwhile
	fieldTable   = "t"                    // of an entry of the stream
	fieldKey     = "k"
	fieldStamp   = "s"
	fieldNode    = "n" // of one that only marks a place
)

func (c Config) tablesKey(what string) string  { return c.Prefix + ":{" + c.Prefix + "-tables}:" + what }
func (c Config) stampsKey(table string) string { return c.tablesKey("s:" + table) }
func (c Config) valuesKey(table string) string { return c.tablesKey("v:" + table) }
func (c Config) changesKey() string            { return c.tablesKey("changes") }
func (c Config) epochKey() string              { return c.tablesKey("epoch") }

// Close ends its connections; the next call makes others.
func (t *Tables) Close() {
	t.write.close()
	t.wait.close()
}

// Mark implements shared.Common: the place is an entry of the stream.
func (t *Tables) Mark(ctx context.Context) (mark, epoch string, err error) {
	cfg := t.s.cfg
	out, err := t.write.do(ctx, 0, func(b rueidis.Builder) rueidis.Commands {
		return rueidis.Commands{
			b.Set().Key(cfg.epochKey()).Value(rand.Text()).Nx().Build(), b.Get().Key(cfg.epochKey()).Build(),
			b.Xadd().Key(cfg.changesKey()).Maxlen().Almost().Threshold(strconv.Itoa(t.kept)).Id("*").FieldValue().FieldValue(fieldNode, cfg.Node).Build(),
		}
	})
	if err != nil {
		return "", "", err
	}
	if epoch, err = out[1].ToString(); err != nil {
		return "", "", err
	}
	mark, err = out[2].ToString()
	return mark, epoch, err
}

// Stamps implements shared.Common. What is no stamp counts as none.
func (t *Tables) Stamps(ctx context.Context, table string) (map[string]shared.Stamp, error) {
	out, err := t.write.do(ctx, 0, func(b rueidis.Builder) rueidis.Commands {
		return rueidis.Commands{b.Hgetall().Key(t.s.cfg.stampsKey(table)).Build()}
	})
	if err != nil {
		return nil, err
	}
	texts, err := out[0].AsStrMap()
	if err != nil {
		return nil, err
	}
	list := make(map[string]shared.Stamp, len(texts))
	for key, text := range texts {
		if s, err := shared.ParseStamp(text); err == nil {
			list[key] = s
		}
	}
	return list, nil
}

// Read implements shared.Common.
func (t *Tables) Read(ctx context.Context, names []shared.Name) ([]shared.Entry, error) {
	if len(names) == 0 {
		return nil, nil
	}
	out, err := t.write.do(ctx, 0, func(b rueidis.Builder) (cmds rueidis.Commands) {
		return append(append(append(cmds, b.Multi().Build()), t.gets(b, names, true)...), b.Exec().Build())
	})
	if err != nil {
		return nil, err
	}
	each, err := out[len(out)-1].ToArray()
	if err != nil || len(each) != 2*len(names) {
		return nil, fmt.Errorf("redis: %d answers for %d records: %w", len(each), len(names), errors.Join(err, shared.ErrAway))
	}
	var list []shared.Entry
	for i, n := range names {
		if e, ok := entryOf(n, each[2*i], &each[2*i+1]); ok {
			list = append(list, e)
		}
	}
	return list, nil
}

// gets reads stamps, and values after each where they are wanted.
func (t *Tables) gets(b rueidis.Builder, names []shared.Name, values bool) (cmds rueidis.Commands) {
	for _, n := range names {
		cmds = append(cmds, b.Hget().Key(t.s.cfg.stampsKey(n.Table)).Field(n.Key).Build())
		if values {
			cmds = append(cmds, b.Hget().Key(t.s.cfg.valuesKey(n.Table)).Field(n.Key).Build())
		}
	}
	return cmds
}

// entryOf is a record of the server. One whose value is not that of its stamp is
// none.
func entryOf(n shared.Name, stamp rueidis.RedisMessage, value *rueidis.RedisMessage) (shared.Entry, bool) {
	e := shared.Entry{Name: n}
	text, err := stamp.ToString()
	if err == nil {
		e.Stamp, err = shared.ParseStamp(text)
	}
	if err != nil || e.Time == 0 {
		return e, false
	}
	if value != nil && !e.Gone {
		text, err := value.ToString()
		if e.Value = []byte(text); err != nil || !e.Whole() {
			return e, false
		}
	}
	return e, true
}

// Merge implements shared.Common.
func (t *Tables) Merge(ctx context.Context, list []shared.Entry) (newer []shared.Entry, err error) {
	if len(list) == 0 {
		return nil, nil
	}
	var old []shared.Name // what is newer there
	err = t.transact(ctx, namesOf(list), func(stamps []shared.Stamp) (puts []shared.Entry) {
		old = old[:0]
		for i, e := range list {
			switch c := e.Compare(stamps[i]); {
			case c > 0:
				puts = append(puts, e)
			case c < 0:
				old = append(old, e.Name)
			}
		}
		return puts
	})
	if err != nil {
		return nil, err
	}
	return t.Read(ctx, old)
}

// Swap implements shared.Common.
func (t *Tables) Swap(ctx context.Context, was shared.Stamp, e shared.Entry) (found shared.Entry, done bool, err error) {
	err = t.transact(ctx, []shared.Name{e.Name}, func(stamps []shared.Stamp) []shared.Entry {
		if done = stamps[0] == was; !done {
			return nil
		}
		return []shared.Entry{e}
	})
	if err != nil || done {
		return shared.Entry{}, done && err == nil, err
	}
	list, err := t.Read(ctx, []shared.Name{e.Name})
	if err != nil || len(list) == 0 {
		return shared.Entry{}, false, err
	}
	return list[0], false, nil
}

// Forget implements shared.Common.
func (t *Tables) Forget(ctx context.Context, list []shared.Change) error {
	names := make([]shared.Name, len(list))
	for i, c := range list {
		names[i] = c.Name
	}
	return t.transactions(ctx, names, func(b rueidis.Builder, stamps []shared.Stamp) (cmds rueidis.Commands) {
		for i, c := range list {
			if stamps[i] == c.Stamp {
				cmds = append(cmds, b.Hdel().Key(t.s.cfg.stampsKey(c.Table)).Field(c.Key).Build(), b.Hdel().Key(t.s.cfg.valuesKey(c.Table)).Field(c.Key).Build())
			}
		}
		return cmds
	})
}

func namesOf(list []shared.Entry) []shared.Name {
	names := make([]shared.Name, len(list))
	for i, e := range list {
		names[i] = e.Name
	}
	return names
}

// transact writes the entries that choose answers for the stamps that are there, if
// those are still there then.
func (t *Tables) transact(ctx context.Context, names []shared.Name, choose func([]shared.Stamp) []shared.Entry) error {
	cfg := t.s.cfg
	return t.transactions(ctx, names, func(b rueidis.Builder, stamps []shared.Stamp) (cmds rueidis.Commands) {
		for _, e := range choose(stamps) {
			value := b.Hset().Key(cfg.valuesKey(e.Table)).FieldValue().FieldValue(e.Key, string(e.Value)).Build()
			if e.Gone {
				value = b.Hdel().Key(cfg.valuesKey(e.Table)).Field(e.Key).Build()
			}
			cmds = append(cmds, value,
				b.Hset().Key(cfg.stampsKey(e.Table)).FieldValue().FieldValue(e.Key, e.Stamp.String()).Build(),
				b.Xadd().Key(cfg.changesKey()).Maxlen().Almost().Threshold(strconv.Itoa(t.kept)).Id("*").
					FieldValue().FieldValue(fieldTable, e.Table).FieldValue(fieldKey, e.Key).FieldValue(fieldStamp, e.Stamp.String()).Build())
		}
		return cmds
	})
}

// transactions tries until nobody has written to the tables meanwhile: each time that
// somebody has, he has come further.
func (t *Tables) transactions(ctx context.Context, names []shared.Name, commands func(rueidis.Builder, []shared.Stamp) rueidis.Commands) error {
	t.write.mu.Lock()
	defer t.write.mu.Unlock()
	for range swapTries {
		done, err := t.once(ctx, names, commands)
		if done || err != nil {
			return err
		}
	}
	return fmt.Errorf("redis: others wrote meanwhile %d times: %w", swapTries, shared.ErrAway)
}

func (t *Tables) once(ctx context.Context, names []shared.Name, commands func(rueidis.Builder, []shared.Stamp) rueidis.Commands) (done bool, err error) {
	out, err := t.write.doLocked(ctx, 0, func(b rueidis.Builder) rueidis.Commands {
		var keys []string
		seen := map[string]bool{}
		for _, n := range names {
			if !seen[n.Table] {
				seen[n.Table] = true
				keys = append(keys, t.s.cfg.stampsKey(n.Table))
			}
		}
		return append(rueidis.Commands{b.Watch().Key(keys...).Build()}, t.gets(b, names, false)...)
	})
	if err != nil {
		return false, err
	}
	stamps := make([]shared.Stamp, len(names))
	for i := range names {
		if m, err := out[i+1].ToMessage(); err == nil {
			e, _ := entryOf(names[i], m, nil)
			stamps[i] = e.Stamp
		}
	}
	out, err = t.write.doLocked(ctx, 0, func(b rueidis.Builder) rueidis.Commands {
		cmds := commands(b, stamps)
		if len(cmds) == 0 {
			return rueidis.Commands{b.Unwatch().Build()}
		}
		return append(append(rueidis.Commands{b.Multi().Build()}, cmds...), b.Exec().Build())
	})
	if err != nil || len(out) == 1 {
		return true, err
	}
	return t.executed(out[len(out)-1])
}

// executed reads what became of a transaction.
func (t *Tables) executed(exec rueidis.RedisResult) (done bool, err error) {
	if rueidis.IsRedisNil(exec.Error()) {
		return false, nil
	}
	each, err := exec.ToArray()
	for _, m := range each {
		if err == nil {
			err = m.Error()
		}
	}
	if err != nil {
		t.write.sever()
	}
	return true, err
}

// Since implements shared.Common. The entry of the mark is read again each time: while
// it is there, nothing after it is missing.
func (t *Tables) Since(ctx context.Context, mark string) (list []shared.Change, next string, err error) {
	key := t.s.cfg.changesKey()
	_, err = t.wait.do(ctx, changesBlock, func(b rueidis.Builder) rueidis.Commands {
		return rueidis.Commands{b.Xread().Count(1).Block(changesBlock.Milliseconds()).Streams().Key(key).Id(mark).Build()}
	})
	if err != nil {
		return nil, "", err
	}
	out, err := t.wait.do(ctx, 0, func(b rueidis.Builder) rueidis.Commands {
		return rueidis.Commands{b.Xrange().Key(key).Start(mark).End("+").Count(changesMost).Build()}
	})
	if err != nil {
		return nil, "", err
	}
	entries, err := out[0].AsXRange()
	if err != nil && !rueidis.IsRedisNil(err) {
		return nil, "", err
	}
	if len(entries) == 0 || entries[0].ID != mark {
		return nil, "", shared.ErrGap
	}
	for _, x := range entries[1:] {
		stamp, err := shared.ParseStamp(x.FieldValues[fieldStamp])
		if err == nil && stamp.Time != 0 {
			list = append(list, shared.Change{Name: shared.Name{Table: x.FieldValues[fieldTable], Key: x.FieldValues[fieldKey]}, Stamp: stamp})
		}
	}
	return list, entries[len(entries)-1].ID, nil
}

// line is a connection of one user's own, made where there is none.
type line struct {
	s *Server

	mu   sync.Mutex // one call at a time
	conn rueidis.DedicatedClient
}

func (l *line) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.sever()
}

func (l *line) sever() {
	if l.conn != nil {
		l.conn.Close()
		l.conn = nil
	}
}

func (l *line) do(ctx context.Context, blocks time.Duration, commands func(rueidis.Builder) rueidis.Commands) ([]rueidis.RedisResult, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.doLocked(ctx, blocks, commands)
}

// doLocked runs commands that may wait for so long at the server. After any error
// the connection is another one: what was under way on it is not known. The caller
// holds the lock.
func (l *line) doLocked(ctx context.Context, blocks time.Duration, commands func(rueidis.Builder) rueidis.Commands) ([]rueidis.RedisResult, error) {
	if l.conn == nil {
		c, err := l.s.connected()
		if err != nil {
			return nil, err
		}
		l.conn, _ = c.Dedicate()
	}
	ctx, stop := context.WithTimeout(ctx, blocks+patience)
	defer stop()
	out := l.conn.DoMulti(ctx, commands(l.conn.B())...)
	for _, one := range out {
		if err := one.Error(); err != nil && !rueidis.IsRedisNil(err) {
			l.sever()
			return nil, err
		}
	}
	return out, nil
}
