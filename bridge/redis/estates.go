package redis

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/redis/rueidis"

	"github.com/tacet-hub/tacet/broker/estate"
)

// Estates is what the nodes would leave behind: it implements estate.Common, as one node
// has it, which writes of itself alone. Of each
// node there are three hashes of one hash tag: records, claims, and what is known of
// both; and there is a set of the nodes that have some.
type Estates struct {
	s     *Server
	write line // for the transactions; in a cluster it is one to the server of this node's hashes
}

// NewEstates makes those of a server. It does not connect.
func NewEstates(s *Server) *Estates { return &Estates{s: s, write: line{s: s}} }

var _ estate.Common = (*Estates)(nil)

const (
	estateKept = 8 * 24 * time.Hour // after the last change: longer than sessions are
	estatePage = 500                // fields that are read at once
)

func (c Config) estateKey(node, what string) string {
	return c.Prefix + ":{" + c.Prefix + "-estate-" + node + "}:" + what
}
func (c Config) estatesKey() string { return c.Prefix + ":{" + c.Prefix + "-estates}" }

// Fields of what is known of a node's copy.
const (
	estateMark    = "mark"
	estateChanges = "changes"
)

// Close ends its connection; the next call makes another.
func (x *Estates) Close() { x.write.close() }

func fieldOf(n estate.Name) string { return n.Table + "\x00" + n.Key }

func nameOf(field string) estate.Name {
	table, key, _ := strings.Cut(field, "\x00")
	return estate.Name{Table: table, Key: key}
}

// Write implements estate.Common, as do those that follow.
func (x *Estates) Write(ctx context.Context, node string, list []estate.Record) (mark string, err error) {
	records, known := x.s.cfg.estateKey(node, "records"), x.s.cfg.estateKey(node, "known")
	out, err := x.write.do(ctx, func(b rueidis.Builder) rueidis.Commands {
		cmds := append(rueidis.Commands{b.Multi().Build()}, changes(b, records, list)...)
		return append(cmds,
			b.Pexpire().Key(records).Milliseconds(estateKept.Milliseconds()).Build(),
			b.Hincrby().Key(known).Field(estateChanges).Increment(1).Build(),
			b.Pexpire().Key(known).Milliseconds(estateKept.Milliseconds()).Build(),
			b.Hget().Key(known).Field(estateMark).Build(),
			b.Exec().Build())
	})
	if err != nil {
		return "", err
	}
	each, err := out[len(out)-1].ToArray()
	if err != nil || len(each) == 0 {
		return "", fmt.Errorf("redis: a change of sessions is not taken: %w", errors.Join(err, ErrAway))
	}
	for _, one := range each {
		if err := one.Error(); err != nil && !rueidis.IsRedisNil(err) {
			return "", err
		}
	}
	mark, err = each[len(each)-1].ToString()
	if rueidis.IsRedisNil(err) {
		err = nil
	}
	return mark, err
}

// changes sets fields and deletes others, with one command each.
func changes(b rueidis.Builder, key string, list []estate.Record) (cmds rueidis.Commands) {
	var gone []string
	set := b.Hset().Key(key).FieldValue()
	some := false
	for _, r := range list {
		if r.Value == nil {
			gone = append(gone, fieldOf(r.Name))
			continue
		}
		set, some = set.FieldValue(fieldOf(r.Name), rueidis.BinaryString(r.Value)), true
	}
	if some {
		cmds = append(cmds, set.Build())
	}
	if len(gone) > 0 {
		cmds = append(cmds, b.Hdel().Key(key).Field(gone...).Build())
	}
	return cmds
}

// Begin marks a copy as whole.
func (x *Estates) Begin(ctx context.Context, node, mark string) error {
	_, err := x.s.do(ctx, func(b rueidis.Builder) rueidis.Commands {
		known := x.s.cfg.estateKey(node, "known")
		return rueidis.Commands{
			b.Hset().Key(known).FieldValue().FieldValue(estateMark, mark).Build(),
			b.Pexpire().Key(known).Milliseconds(estateKept.Milliseconds()).Build(),
		}
	})
	if err != nil {
		return err
	}
	_, err = x.s.do(ctx, func(b rueidis.Builder) rueidis.Commands {
		return rueidis.Commands{b.Sadd().Key(x.s.cfg.estatesKey()).Member(node).Build()}
	})
	return err
}

// Names are those of all records.
func (x *Estates) Names(ctx context.Context, node string) (names []estate.Name, err error) {
	err = x.scan(ctx, node, func(field, _ string) { names = append(names, nameOf(field)) })
	return names, err
}

// Read calls each with every record.
func (x *Estates) Read(ctx context.Context, node string, each func(estate.Record)) error {
	return x.scan(ctx, node, func(field, value string) { each(estate.Record{Name: nameOf(field), Value: []byte(value)}) })
}

func (x *Estates) scan(ctx context.Context, node string, each func(field, value string)) error {
	for cursor := uint64(0); ; {
		out, err := x.s.do(ctx, func(b rueidis.Builder) rueidis.Commands {
			return rueidis.Commands{b.Hscan().Key(x.s.cfg.estateKey(node, "records")).Cursor(cursor).Count(estatePage).Build()}
		})
		if err != nil {
			return err
		}
		part, err := out[0].AsScanEntry()
		if err != nil {
			return err
		}
		for i := 0; i+1 < len(part.Elements); i += 2 {
			each(part.Elements[i], part.Elements[i+1])
		}
		if cursor = part.Cursor; cursor == 0 {
			return nil
		}
	}
}

// Version is another one after each Write.
func (x *Estates) Version(ctx context.Context, node string) (string, error) {
	out, err := x.s.do(ctx, func(b rueidis.Builder) rueidis.Commands {
		return rueidis.Commands{b.Hmget().Key(x.s.cfg.estateKey(node, "known")).Field(estateMark, estateChanges).Build()}
	})
	if err != nil {
		return "", err
	}
	each, err := out[0].ToArray()
	if err != nil || len(each) != 2 || each[0].IsNil() {
		return "", err
	}
	mark, _ := each[0].ToString()
	n, _ := each[1].ToString() // none: nothing has changed since it began
	return mark + " " + n, nil
}

// Nodes are those that have a copy.
func (x *Estates) Nodes(ctx context.Context) ([]string, error) {
	out, err := x.s.do(ctx, func(b rueidis.Builder) rueidis.Commands {
		return rueidis.Commands{b.Smembers().Key(x.s.cfg.estatesKey()).Build()}
	})
	if err != nil {
		return nil, err
	}
	return out[0].AsStrSlice()
}

// Drop deletes a copy.
func (x *Estates) Drop(ctx context.Context, node string) error {
	_, err := x.s.do(ctx, func(b rueidis.Builder) rueidis.Commands {
		return rueidis.Commands{
			b.Del().Key(x.s.cfg.estateKey(node, "records")).Build(), b.Del().Key(x.s.cfg.estateKey(node, "known")).Build(),
			b.Srem().Key(x.s.cfg.estatesKey()).Member(node).Build(),
		}
	})
	return err
}

// textOf is a claim as the server has it.
func textOf(c estate.Claim) string {
	text := c.By + " " + strconv.FormatInt(c.At, 10)
	if c.Done {
		text += " done"
	}
	return text
}

func parseClaim(text string) (c estate.Claim, ok bool) {
	part := strings.Split(text, " ")
	if len(part) < 2 {
		return c, false
	}
	at, err := strconv.ParseInt(part[1], 10, 64)
	return estate.Claim{By: part[0], At: at, Done: len(part) > 2}, err == nil
}

// Claim puts a claim where there is none. That of a node that is to be replaced is
// replaced after it was read: of two that do it the later has it, and the other is told
// so by what nodes tell each other of their sessions.
func (x *Estates) Claim(ctx context.Context, node, client string, c estate.Claim, instead string) (estate.Claim, error) {
	key := x.s.cfg.estateKey(node, "claims")
	out, err := x.s.do(ctx, func(b rueidis.Builder) rueidis.Commands {
		return rueidis.Commands{
			b.Hsetnx().Key(key).Field(client).Value(textOf(c)).Build(), b.Hget().Key(key).Field(client).Build(),
			b.Pexpire().Key(key).Milliseconds(estateKept.Milliseconds()).Build(),
		}
	})
	if err != nil {
		return c, err
	}
	text, err := out[1].ToString()
	if err != nil {
		return c, err
	}
	is, ok := parseClaim(text)
	if ok && (instead == "" || is.By != instead) {
		return is, nil
	}
	_, err = x.s.do(ctx, func(b rueidis.Builder) rueidis.Commands {
		return rueidis.Commands{b.Hset().Key(key).FieldValue().FieldValue(client, textOf(c)).Build()}
	})
	return c, err
}

// settleTries is how often claims are settled while others write some.
const settleTries = 16

// Settle marks claims as done that are still there, on a connection of its own: they may
// be at any server of a cluster.
func (x *Estates) Settle(ctx context.Context, node string, claims map[string]estate.Claim) error {
	if len(claims) == 0 {
		return nil
	}
	c, err := x.s.connected()
	if err != nil {
		return err
	}
	ctx, stop := context.WithTimeout(ctx, patience)
	defer stop()
	return c.Dedicated(func(d rueidis.DedicatedClient) error {
		for range settleTries {
			if done, err := x.settle(ctx, d, node, claims); done || err != nil {
				return err
			}
		}
		return fmt.Errorf("redis: others change claims on sessions of %s: %w", node, ErrAway)
	})
}

// settle is one try of Settle; done is false where others wrote meanwhile.
func (x *Estates) settle(ctx context.Context, d rueidis.DedicatedClient, node string, claims map[string]estate.Claim) (done bool, err error) {
	key, clients := x.s.cfg.estateKey(node, "claims"), slices.Collect(maps.Keys(claims))
	out := d.DoMulti(ctx, pinned(rueidis.Commands{d.B().Watch().Key(key).Build(), d.B().Hmget().Key(key).Field(clients...).Build()})...)
	there, err := out[1].ToArray()
	if err = errors.Join(out[0].Error(), err); err != nil {
		return false, err
	}
	set, some := d.B().Hset().Key(key).FieldValue(), false
	for i, client := range clients {
		text, _ := there[i].ToString() // of one that is not there it is empty
		if is, ok := parseClaim(text); ok && is.Same(claims[client]) {
			set, some = set.FieldValue(client, textOf(claims[client])), true
		}
	}
	if !some {
		return true, d.Do(ctx, d.B().Unwatch().Build()).Error()
	}
	out = d.DoMulti(ctx, pinned(rueidis.Commands{d.B().Multi().Build(), set.Build(), d.B().Exec().Build()})...)
	if err = out[len(out)-1].Error(); rueidis.IsRedisNil(err) {
		return false, nil
	}
	return true, err
}

// Claims are those on a node's sessions.
func (x *Estates) Claims(ctx context.Context, node string) (map[string]estate.Claim, error) {
	out, err := x.s.do(ctx, func(b rueidis.Builder) rueidis.Commands {
		return rueidis.Commands{b.Hgetall().Key(x.s.cfg.estateKey(node, "claims")).Build()}
	})
	if err != nil {
		return nil, err
	}
	texts, err := out[0].AsStrMap()
	all := map[string]estate.Claim{}
	for client, text := range texts {
		if c, ok := parseClaim(text); ok {
			all[client] = c
		}
	}
	return all, err
}

// Disclaim deletes claims.
func (x *Estates) Disclaim(ctx context.Context, node string, clients []string) error {
	if len(clients) == 0 {
		return nil
	}
	_, err := x.s.do(ctx, func(b rueidis.Builder) rueidis.Commands {
		return rueidis.Commands{b.Hdel().Key(x.s.cfg.estateKey(node, "claims")).Field(clients...).Build()}
	})
	return err
}
