package redis

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/redis/rueidis"

	"github.com/tacet-hub/tacet/broker/shared"
)

// Tables is the common copy of the tables that all nodes have: it implements
// shared.Common. Each table is two hashes, of stamps and of values; changes are a
// bounded list of names and stamps. All of it has one hash tag. Each write is a
// transaction (WATCH, MULTI, EXEC) on the stamps of the tables that it names.
type Tables struct {
	s     *Server
	write line  // for all but
	news  *bell // the changes, as they come
	names *namer
	kept  int           // changes in the list
	look  time.Duration // how often it is looked at without a word
}

// NewTables makes the common copy of a server. It does not connect.
func NewTables(s *Server) *Tables {
	names := newNamer()
	return &Tables{s: s, write: line{s: s}, news: newBell(s, s.cfg.changesChannel(), names.life), names: names, kept: changesKept, look: changesLook}
}

var _ shared.Common = (*Tables)(nil)

// swapTries is how many times a transaction is begun anew because others wrote
// meanwhile.
const swapTries = 64

func (c Config) tablesKey(what string) string  { return c.Prefix + ":{" + c.Prefix + "-tables}:" + what }
func (c Config) stampsKey(table string) string { return c.tablesKey("s:" + table) }
func (c Config) valuesKey(table string) string { return c.tablesKey("v:" + table) }
func (c Config) epochKey() string              { return c.tablesKey("epoch") }

// Close ends its connections; the next call makes others.
func (t *Tables) Close() {
	t.write.close()
	t.news.close()
}

// Stamps implements shared.Common. What is no stamp counts as none.
func (t *Tables) Stamps(ctx context.Context, table string) (map[string]shared.Stamp, error) {
	out, err := t.write.do(ctx, func(b rueidis.Builder) rueidis.Commands {
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
	out, err := t.write.do(ctx, func(b rueidis.Builder) (cmds rueidis.Commands) {
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
		puts := choose(stamps)
		if len(puts) == 0 {
			return nil
		}
		texts := make([]string, len(puts))
		for i, e := range puts {
			value := b.Hset().Key(cfg.valuesKey(e.Table)).FieldValue().FieldValue(e.Key, string(e.Value)).Build()
			if e.Gone {
				value = b.Hdel().Key(cfg.valuesKey(e.Table)).Field(e.Key).Build()
			}
			cmds = append(cmds, value, b.Hset().Key(cfg.stampsKey(e.Table)).FieldValue().FieldValue(e.Key, e.Stamp.String()).Build())
			texts[i] = changeText(t.names.next(), shared.Change{Name: e.Name, Stamp: e.Stamp})
		}
		return append(append(cmds, t.add(b, texts...)...), t.ring(b))
	})
}

// transactions tries until nobody has written to the tables meanwhile: each time that
// somebody has, he has come further.
func (t *Tables) transactions(ctx context.Context, names []shared.Name, commands func(rueidis.Builder, []shared.Stamp) rueidis.Commands) error {
	if err := t.write.mu.within(ctx); err != nil {
		return err
	}
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
	out, err := t.write.doLocked(ctx, func(b rueidis.Builder) rueidis.Commands {
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
	out, err = t.write.doLocked(ctx, func(b rueidis.Builder) rueidis.Commands {
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
