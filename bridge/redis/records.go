package redis

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/redis/rueidis"

	"github.com/tacet-hub/tacet/broker/proof"
)

// recordsLife is how long the records of a node stay of which nothing is written any
// more.
const recordsLife = 30 * 24 * time.Hour

// Records is what the nodes have in common of the record of what sounded: it implements
// proof.Common. Of each node there is a hash of texts, and each file is a list of what
// was appended to it; a hash says which nodes there are. All of it has one hash tag, and
// each write is a transaction (WATCH, MULTI, EXEC) on the texts of the node.
type Records struct {
	s     *Server
	write line
}

var _ proof.Common = (*Records)(nil)

// NewRecords makes what is in common at a server. It does not connect.
func NewRecords(s *Server) *Records { return &Records{s: s, write: line{s: s}} }

// Close ends its connection; the next call makes another one.
func (r *Records) Close() { r.write.close() }

func (c Config) recordsKey(what string) string {
	return c.Prefix + ":{" + c.Prefix + "-proof}:" + what
}

func (c Config) recordNodesKey() string            { return c.recordsKey("nodes") }
func (c Config) recordTextsKey(node string) string { return c.recordsKey("t:" + node) }
func (c Config) recordFileKey(node, file string) string {
	return c.recordsKey("f:" + node + ":" + file)
}

// Nodes implements proof.Common. Who has written nothing for twice as long as that stays
// is forgotten.
func (r *Records) Nodes(ctx context.Context) (names []string, err error) {
	key := r.s.cfg.recordNodesKey()
	out, err := r.s.do(ctx, func(b rueidis.Builder) rueidis.Commands {
		return rueidis.Commands{b.Hgetall().Key(key).Build()}
	})
	if err != nil {
		return nil, err
	}
	times, err := out[0].AsStrMap()
	if err != nil {
		return nil, err
	}
	var old []string
	oldest := time.Now().Add(-2 * recordsLife).UnixMilli()
	for node, text := range times {
		if ms, err := strconv.ParseInt(text, 10, 64); err != nil || ms < oldest {
			old = append(old, node)
			continue
		}
		names = append(names, node)
	}
	if len(old) > 0 {
		_, err = r.s.do(ctx, func(b rueidis.Builder) rueidis.Commands {
			return rueidis.Commands{b.Hdel().Key(key).Field(old...).Build()}
		})
	}
	return names, err
}

// Texts implements proof.Common.
func (r *Records) Texts(ctx context.Context, node string) (map[string]string, error) {
	out, err := r.s.do(ctx, func(b rueidis.Builder) rueidis.Commands {
		return rueidis.Commands{b.Hgetall().Key(r.s.cfg.recordTextsKey(node)).Build()}
	})
	if err != nil {
		return nil, err
	}
	return out[0].AsStrMap()
}

// File implements proof.Common.
func (r *Records) File(ctx context.Context, node, file string) ([]byte, error) {
	out, err := r.s.do(ctx, func(b rueidis.Builder) rueidis.Commands {
		return rueidis.Commands{b.Lrange().Key(r.s.cfg.recordFileKey(node, file)).Start(0).Stop(-1).Build()}
	})
	if err != nil {
		return nil, err
	}
	parts, err := out[0].AsStrSlice()
	return []byte(strings.Join(parts, "")), err
}

// Write implements proof.Common.
func (r *Records) Write(ctx context.Context, node string, w proof.Write) (done bool, err error) {
	if err := r.write.mu.within(ctx); err != nil {
		return false, err
	}
	defer r.write.mu.Unlock()
	texts := r.s.cfg.recordTextsKey(node)
	out, err := r.write.doLocked(ctx, func(b rueidis.Builder) rueidis.Commands {
		return rueidis.Commands{b.Watch().Key(texts).Build(), b.Hget().Key(texts).Field(w.Name).Build()}
	})
	if err != nil {
		return false, err
	}
	was, err := out[1].ToString()
	if err != nil && !rueidis.IsRedisNil(err) {
		return false, err
	}
	if was != w.Was {
		_, err = r.write.doLocked(ctx, func(b rueidis.Builder) rueidis.Commands { return rueidis.Commands{b.Unwatch().Build()} })
		return false, err
	}
	out, err = r.write.doLocked(ctx, func(b rueidis.Builder) rueidis.Commands { return r.transaction(b, node, w) })
	if err != nil {
		return false, err
	}
	return r.executed(out[len(out)-1], node)
}

// transaction does all of w. What is appended is the first command of it.
func (r *Records) transaction(b rueidis.Builder, node string, w proof.Write) rueidis.Commands {
	cfg, file := r.s.cfg, r.s.cfg.recordFileKey(node, w.File)
	cmds := rueidis.Commands{b.Multi().Build()}
	lines := rueidis.BinaryString(w.Lines)
	if w.Begin {
		cmds = append(cmds, b.Del().Key(file).Build(), b.Rpush().Key(file).Element(lines).Build())
	} else {
		cmds = append(cmds, b.Exists().Key(file).Build(), b.Rpushx().Key(file).Element(lines).Build())
	}
	for _, name := range w.Drop {
		cmds = append(cmds, b.Del().Key(cfg.recordFileKey(node, name)).Build())
	}
	for name, text := range w.Texts {
		cmds = append(cmds, b.Hset().Key(cfg.recordTextsKey(node)).FieldValue().FieldValue(name, text).Build())
	}
	return append(append(cmds, r.stay(b, node, []string{w.File})...), b.Exec().Build())
}

// stay puts the end of what there is of a node off, and of files.
func (r *Records) stay(b rueidis.Builder, node string, files []string) rueidis.Commands {
	cfg, ms := r.s.cfg, recordsLife.Milliseconds()
	cmds := rueidis.Commands{
		b.Hset().Key(cfg.recordNodesKey()).FieldValue().FieldValue(node, strconv.FormatInt(time.Now().UnixMilli(), 10)).Build(),
		b.Pexpire().Key(cfg.recordNodesKey()).Milliseconds(2 * ms).Build(),
		b.Pexpire().Key(cfg.recordTextsKey(node)).Milliseconds(ms).Build(),
	}
	for _, file := range files {
		cmds = append(cmds, b.Pexpire().Key(cfg.recordFileKey(node, file)).Milliseconds(ms).Build())
	}
	return cmds
}

// executed reads what became of a transaction. The caller holds the lock.
func (r *Records) executed(exec rueidis.RedisResult, node string) (done bool, err error) {
	if rueidis.IsRedisNil(exec.Error()) {
		return false, nil // somebody has written meanwhile
	}
	each, err := exec.ToArray()
	for _, m := range each {
		if err == nil {
			err = m.Error()
		}
	}
	if err != nil || len(each) < 2 {
		r.write.sever()
		return false, fmt.Errorf("redis: the record of node %s: %w", node, errors.Join(err, proof.ErrLost))
	}
	if length, err := each[1].AsInt64(); err != nil || length == 0 {
		return false, errors.Join(proof.ErrLost, err)
	}
	return true, nil
}

// Keep implements proof.Common.
func (r *Records) Keep(ctx context.Context, node, name, text string, files []string) (was string, err error) {
	key := r.s.cfg.recordTextsKey(node)
	out, err := r.s.do(ctx, func(b rueidis.Builder) rueidis.Commands {
		cmds := rueidis.Commands{b.Hget().Key(key).Field(name).Build(), b.Hset().Key(key).FieldValue().FieldValue(name, text).Build()}
		return append(cmds, r.stay(b, node, files)...)
	})
	if err != nil {
		return "", err
	}
	if was, err = out[0].ToString(); rueidis.IsRedisNil(err) {
		return "", nil
	}
	return was, err
}

// Clock implements proof.Common: it is that of the server that answers.
func (r *Records) Clock(ctx context.Context) (time.Time, error) {
	out, err := r.s.do(ctx, func(b rueidis.Builder) rueidis.Commands { return rueidis.Commands{b.Time().Build()} })
	if err != nil {
		return time.Time{}, err
	}
	parts, err := out[0].AsStrSlice()
	if err != nil || len(parts) != 2 {
		return time.Time{}, fmt.Errorf("redis: the server's time has %d parts: %w", len(parts), errors.Join(err, ErrAway))
	}
	s, e1 := strconv.ParseInt(parts[0], 10, 64)
	us, e2 := strconv.ParseInt(parts[1], 10, 64)
	return time.Unix(s, us*1000), errors.Join(e1, e2)
}
