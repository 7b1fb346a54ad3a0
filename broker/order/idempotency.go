package order

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"time"
	"unicode/utf8"

	"github.com/tacet-hub/tacet/broker/area"
)

// keyName is one idempotency key of one principal.
type keyName struct{ who, key string }

// keyed is what became of the first request with a key.
type keyed struct {
	name keyName
	body [sha256.Size]byte
	at   time.Time
	done chan struct{} // closed when answer is there, or the request was refused
	ok   bool
	// answer is the first answer; set before done is closed.
	answer area.Order
}

func checkKey(key string) error {
	if n := utf8.RuneCountInString(key); n > 128 || !utf8.ValidString(key) {
		return area.InvalidField("Idempotency-Key", "%d characters, 1 to 128 are allowed", n)
	}
	return nil
}

// AcceptOnce is [Service.Accept], and also says whether the answer is that of
// an earlier request with the same idempotency key. A request that is refused
// leaves no trace: its key can be used again.
func (s *Service) AcceptOnce(ctx context.Context, r area.OrderRequest, by By) (o area.Order, replayed bool, err error) {
	if by.IdempotencyKey == "" {
		o, err = s.accept(ctx, r, by, nil)
		return o, false, err
	}
	if err := checkKey(by.IdempotencyKey); err != nil {
		return area.Order{}, false, err
	}
	body, err := json.Marshal(r)
	if err != nil {
		return area.Order{}, false, area.Errorf(area.CodeBadRequest, "the request cannot be written: %v", err)
	}
	sum := sha256.Sum256(body)
	for {
		k, first := s.key(keyName{by.Who, by.IdempotencyKey}, sum)
		if k.body != sum {
			return area.Order{}, false, mismatch(by.IdempotencyKey)
		}
		if first {
			o, replayed, err = s.acceptKeyed(ctx, r, by, k)
			s.settleKey(k, o, err)
			if replayed {
				s.count.replayed.Add(1)
			}
			return o, replayed, err
		}
		select {
		case <-k.done:
		case <-ctx.Done():
			return area.Order{}, false, ctx.Err()
		}
		if k.ok {
			s.count.replayed.Add(1)
			return k.answer, true, nil
		}
	}
}

// key finds a key, or makes it for the caller, who must settle it.
func (s *Service) key(name keyName, body [sha256.Size]byte) (k *keyed, first bool) {
	now := s.now()
	s.keyMu.Lock()
	defer s.keyMu.Unlock()
	for len(s.keyAge) > 0 && now.Sub(s.keyAge[0].at) >= s.cfg.KeyLife {
		s.dropOldestKey()
	}
	if k := s.keys[name]; k != nil {
		return k, false
	}
	if len(s.keyAge) >= s.cfg.MaxKeys {
		s.dropOldestKey()
		s.count.keysDropped.Add(1)
	}
	k = &keyed{name: name, body: body, at: now, done: make(chan struct{})}
	s.keys[name] = k
	s.keyAge = append(s.keyAge, k)
	return k, true
}

func (s *Service) dropOldestKey() {
	k := s.keyAge[0]
	if s.keys[k.name] == k {
		delete(s.keys, k.name)
	}
	if n := s.cfg.Nodes; n != nil && n.Keys != nil && k.ok {
		n.Keys.DeleteAsync(k.name.shared(), func(error) {}) // else it goes when its time is over
	}
	s.keyAge[0] = nil
	s.keyAge = s.keyAge[1:]
}

// settleKey keeps the first answer, or frees the key of a refused request.
func (s *Service) settleKey(k *keyed, o area.Order, err error) {
	s.keyMu.Lock()
	if err == nil {
		k.answer, k.ok = o, true
	} else if s.keys[k.name] == k {
		delete(s.keys, k.name)
	}
	s.keyMu.Unlock()
	close(k.done)
}
