package order

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"time"

	"github.com/tacet-hub/tacet/broker/area"
)

// Keys keeps the idempotency keys of all nodes; shared.Table is one.
type Keys interface {
	Load(each func(key string, value []byte) error) error
	Get(key string) (value []byte, ok bool, err error)
	PutIf(ctx context.Context, key string, old, value []byte) (found []byte, done bool, err error)
	PutAsync(key string, value []byte, done func(error))
	DeleteAsync(key string, done func(error))
}

const (
	keyLook  = 50 * time.Millisecond // between two looks whether another node has answered
	keyWait  = 10 * time.Second      // for its answer
	keyStale = 30 * time.Second      // a request that was not answered for so long is not under way any more
	keySweep = time.Hour             // between two looks for keys that are over
)

// claim is a key as all nodes have it.
type claim struct {
	Body   []byte      `json:"body"` // SHA-256 of the request
	At     time.Time   `json:"at"`
	ID     area.WorkID `json:"id"` // of the order that is made
	Answer *area.Order `json:"answer,omitempty"`
}

func (n keyName) shared() string {
	sum := sha256.Sum256([]byte(n.who + "\x00" + n.key))
	return hex.EncodeToString(sum[:])
}

// acceptKeyed is accept for the first request with a key at this node: another node
// may have had one before.
func (s *Service) acceptKeyed(ctx context.Context, r area.OrderRequest, by By, k *keyed) (o area.Order, replayed bool, err error) {
	if s.cfg.Nodes == nil || s.cfg.Nodes.Keys == nil {
		o, err = s.accept(ctx, r, by, nil)
		return o, false, err
	}
	c := claim{Body: k.body[:], At: s.now(), ID: s.ids.next(s.now())}
	if r.ID != nil {
		c.ID = area.WorkID(*r.ID)
	}
	first, err := s.claim(ctx, k.name.shared(), &c)
	switch {
	case err != nil:
		return area.Order{}, false, err
	case !bytes.Equal(c.Body, k.body[:]):
		return area.Order{}, false, mismatch(k.name.key)
	case !first:
		return *c.Answer, true, nil
	}
	id := string(c.ID)
	made := r
	made.ID = &id
	o, err = s.accept(ctx, made, by, nil)
	if r.ID == nil && area.CodeOf(err) == area.CodeExists { // whoever had the key before us has gone this far
		o, err = s.Get(c.ID)
	}
	s.settleClaim(k.name.shared(), c, o, err)
	return o, false, err
}

// claim makes a key this node's, or answers what has become of it: then c has its
// body, and the answer where that is the same. While the nodes cannot reach each
// other the key is this node's.
func (s *Service) claim(ctx context.Context, key string, c *claim) (first bool, err error) {
	ctx, stop := context.WithTimeout(ctx, keyWait)
	defer stop()
	keys, mine := s.cfg.Nodes.Keys, *c
	var old []byte
	for {
		value, err := json.Marshal(mine)
		if err != nil {
			return false, err
		}
		found, done, err := keys.PutIf(ctx, key, old, value)
		switch {
		case area.CodeOf(err) == area.CodeDegraded:
			s.count.keysAlone.Add(1)
			return true, nil
		case err != nil:
			return false, err
		case done:
			*c = mine
			return true, nil
		}
		if old, err = s.others(ctx, key, found, c); err != nil || old == nil {
			return false, err
		}
		if was := (claim{}); json.Unmarshal(old, &was) == nil && s.now().Sub(was.At) < s.cfg.KeyLife {
			mine.ID = was.ID // it may have made that order
		}
	}
}

// others waits for the answer of whoever has a key, into c. It answers what is to be
// replaced where nobody will give one.
func (s *Service) others(ctx context.Context, key string, found []byte, c *claim) (old []byte, err error) {
	mine := c.Body
	for {
		var is claim
		age := time.Duration(0)
		if json.Unmarshal(found, &is) == nil {
			age = s.now().Sub(is.At)
		}
		switch {
		case is.At.IsZero() || age >= s.cfg.KeyLife || is.Answer == nil && age >= keyStale:
			return found, nil
		case is.Answer != nil || !bytes.Equal(is.Body, mine):
			*c = is
			return nil, nil
		}
		timer := time.NewTimer(keyLook)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return nil, area.Errorf(area.CodeDegraded, "another node has not answered the first request with this key yet")
		}
		if found, _, err = s.cfg.Nodes.Keys.Get(key); err != nil {
			return nil, err
		}
	}
}

// settleClaim tells all nodes the answer, or that the key is free again.
func (s *Service) settleClaim(key string, c claim, o area.Order, err error) {
	done := func(err error) {
		if err != nil {
			s.log.Warn("idempotency key is not on disk", "work", c.ID, "err", err)
		}
	}
	if err != nil {
		s.cfg.Nodes.Keys.DeleteAsync(key, done)
		return
	}
	c.Answer = &o
	value, err := json.Marshal(c)
	if err != nil {
		done(err)
		return
	}
	s.cfg.Nodes.Keys.PutAsync(key, value, done)
}

// sweepKeys forgets the keys of all nodes whose time is over, now and again.
func (s *Service) sweepKeys() {
	now := s.now()
	if s.cfg.Nodes == nil || s.cfg.Nodes.Keys == nil || now.Sub(s.swept) < keySweep {
		return
	}
	s.swept = now
	var over []string
	err := s.cfg.Nodes.Keys.Load(func(key string, value []byte) error {
		var c claim
		if json.Unmarshal(value, &c) != nil || now.Sub(c.At) >= s.cfg.KeyLife {
			over = append(over, key)
		}
		return nil
	})
	if err != nil {
		s.log.Warn("idempotency keys cannot be read", "err", err)
	}
	for _, key := range over {
		s.cfg.Nodes.Keys.DeleteAsync(key, func(error) {}) // else the next time
	}
}

func mismatch(key string) error {
	return area.Errorf(area.CodeIdempotencyMismatch, "the key %q came with another body before", key)
}
