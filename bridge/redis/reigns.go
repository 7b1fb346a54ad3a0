package redis

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"

	"github.com/redis/rueidis"

	"github.com/tacet-hub/tacet/broker/area"
	"github.com/tacet-hub/tacet/broker/reign"
)

// Reigns is the ledger that says which node has which area: it implements
// reign.Store. An entry is one hash, which has no expiry; all of them have one hash
// tag, so that one connection, its own, reads and writes them in a cluster too.
// Each change is a transaction (WATCH, MULTI, EXEC) on the entries that it names.
type Reigns struct {
	s *Server

	mu    sync.Mutex // one call at a time
	conn  rueidis.DedicatedClient
	at    string // the server that conn is to, where sentinels say which that is
	links uint64 // connections so far
}

// NewReigns makes the ledger of a server. It does not connect.
func NewReigns(s *Server) *Reigns { return &Reigns{s: s} }

var _ reign.Store = (*Reigns)(nil)

// Fields of an entry.
const (
	fieldHead = "head"
	fieldCore = "core"
	fieldLed  = "led"
)

func (c Config) reignKey(a area.Name) string {
	return c.Prefix + ":{" + c.Prefix + "-areas}:a:" + string(a)
}

// lookKey is written at each look: a server that takes no writes, since it has
// become a replica, is no ledger.
func (c Config) lookKey() string { return c.Prefix + ":{" + c.Prefix + "-areas}:look:" + c.Node }

// Close ends the connection; the next call makes another.
func (r *Reigns) Close() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.sever()
}

func (r *Reigns) sever() {
	if r.conn != nil {
		r.conn.Close()
		r.conn = nil
	}
}

// Heads implements reign.Store.
func (r *Reigns) Heads(ctx context.Context, areas []area.Name) (heads []string, link uint64, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	out, err := r.do(ctx, func(b rueidis.Builder) (list rueidis.Commands) {
		list = append(list, b.Set().Key(r.s.cfg.lookKey()).Value("").PxMilliseconds(r.s.cfg.NodeTimeout.Milliseconds()).Build())
		for _, a := range areas {
			list = append(list, b.Hget().Key(r.s.cfg.reignKey(a)).Field(fieldHead).Build())
		}
		return list
	})
	if err != nil {
		return nil, 0, err
	}
	for _, one := range out[1:] {
		text, err := one.ToString()
		if err != nil && !rueidis.IsRedisNil(err) {
			r.sever()
			return nil, 0, err
		}
		heads = append(heads, text)
	}
	return heads, r.links, nil
}

// Swap implements reign.Store. Where an entry is written by somebody else between
// the look at it and the write, none of the changes is done.
func (r *Reigns) Swap(ctx context.Context, list []reign.Change) (out []reign.Result, link uint64, err error) {
	if len(list) == 0 {
		return nil, 0, errors.New("redis: nothing to change")
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if out, err = r.compare(ctx, list); err != nil {
		return nil, 0, err
	}
	if err = r.set(ctx, list, out); err != nil {
		return nil, 0, err
	}
	return out, r.links, nil
}

// compare watches the entries, and answers which of them are as they have to be.
func (r *Reigns) compare(ctx context.Context, list []reign.Change) ([]reign.Result, error) {
	answers, err := r.do(ctx, func(b rueidis.Builder) (cmds rueidis.Commands) {
		keys := make([]string, len(list))
		for i, c := range list {
			keys[i] = r.s.cfg.reignKey(c.Area)
		}
		cmds = append(cmds, b.Watch().Key(keys...).Build())
		for i, c := range list {
			get := b.Hmget().Key(keys[i]).Field(fieldHead)
			if c.Read {
				get = get.Field(fieldCore, fieldLed)
			}
			cmds = append(cmds, get.Build())
		}
		return cmds
	})
	if err != nil {
		return nil, err
	}
	out := make([]reign.Result, len(list))
	for i, c := range list {
		if out[i], err = resultOf(answers[i+1], c.Read); err != nil {
			r.sever()
			return nil, err
		}
		out[i].Done = out[i].Found == c.Was && (c.Link == 0 || c.Link == r.links)
	}
	return out, nil
}

func resultOf(answer rueidis.RedisResult, read bool) (out reign.Result, err error) {
	fields, err := answer.ToArray()
	if want := map[bool]int{false: 1, true: 3}[read]; err == nil && len(fields) != want {
		err = fmt.Errorf("redis: an entry has %d fields", len(fields))
	}
	if err != nil {
		return out, err
	}
	text := func(m rueidis.RedisMessage) []byte {
		s, err := m.ToString()
		if err != nil {
			return nil
		}
		return []byte(s)
	}
	out.Found = string(text(fields[0]))
	if read {
		out.Core, out.Led = text(fields[1]), text(fields[2])
	}
	return out, nil
}

// set writes what is as it has to be, in one transaction.
func (r *Reigns) set(ctx context.Context, list []reign.Change, out []reign.Result) error {
	n := 0
	answers, err := r.do(ctx, func(b rueidis.Builder) (cmds rueidis.Commands) {
		cmds = append(cmds, b.Multi().Build())
		for i, c := range list {
			if !out[i].Done {
				continue
			}
			n++
			set := b.Hset().Key(r.s.cfg.reignKey(c.Area)).FieldValue().FieldValue(fieldHead, c.Head)
			if c.Core != nil {
				set = set.FieldValue(fieldCore, string(c.Core))
			}
			if c.Led != nil {
				set = set.FieldValue(fieldLed, string(c.Led))
			}
			cmds = append(cmds, set.Build())
		}
		if n == 0 {
			return rueidis.Commands{b.Unwatch().Build()}
		}
		return append(cmds, b.Exec().Build())
	})
	if err != nil || n == 0 {
		return err
	}
	done := answers[len(answers)-1]
	if rueidis.IsRedisNil(done.Error()) { // somebody wrote meanwhile
		for i := range out {
			out[i].Done = false
		}
		return nil
	}
	each, err := done.ToArray()
	for _, m := range each {
		if err == nil {
			err = m.Error()
		}
	}
	if err != nil {
		r.sever()
	}
	return err
}

// errReplaced is what a command is answered whose server another has replaced: as the
// ledger it counts no more, whatever it answers.
var errReplaced = errors.New("redis: another server has taken the place of this one")

// do runs commands on the ledger's own connection. After any error that is another
// one: what was under way on it is not known. The caller holds the lock.
func (r *Reigns) do(ctx context.Context, commands func(rueidis.Builder) rueidis.Commands) ([]rueidis.RedisResult, error) {
	c, err := r.s.connected()
	if err != nil {
		return nil, err
	}
	if r.conn != nil && r.at != master(c) {
		r.sever()
	}
	if r.conn == nil {
		r.at = master(c)
		r.conn, _ = c.Dedicate()
		r.links++
	}
	ctx, stop := context.WithTimeout(ctx, patience)
	defer stop()
	out := r.conn.DoMulti(ctx, pinned(commands(r.conn.B()))...)
	if r.at != master(c) {
		r.sever()
		return nil, errReplaced
	}
	for _, one := range out {
		if err := one.Error(); err != nil && !rueidis.IsRedisNil(err) {
			r.sever()
			return nil, err
		}
	}
	return out, nil
}

// Index is a node's number among those that may arbitrate, 0 to below most: kept,
// where it is not negative and nobody else has it by now, or the lowest that is free.
// Numbers are given for ever. It may block for as long as the server takes.
func (r *Reigns) Index(ctx context.Context, node string, kept, most int) (uint64, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	first := max(0, kept)
	for n := range most {
		i := (first + n) % most
		field := strconv.Itoa(i)
		out, err := r.do(ctx, func(b rueidis.Builder) rueidis.Commands {
			key := r.s.cfg.indexKey()
			return rueidis.Commands{b.Hsetnx().Key(key).Field(field).Value(node).Build(), b.Hget().Key(key).Field(field).Build()}
		})
		if err != nil {
			return 0, err
		}
		if has, err := out[1].ToString(); err == nil && has == node {
			return uint64(i), nil
		}
	}
	return 0, fmt.Errorf("redis: all %d numbers of nodes are given", most)
}

func (c Config) indexKey() string { return c.Prefix + ":{" + c.Prefix + "-areas}:indexes" }
