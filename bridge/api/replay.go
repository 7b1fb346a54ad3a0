package api

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/json"
	"io"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/tacet-hub/tacet/broker/area"
)

// Bounds of what is remembered for Idempotency-Key.
const (
	replayTime  = 24 * time.Hour
	mostReplays = 10_000 // the oldest is forgotten for one more
	maxKey      = 128    // characters
)

// replays remembers the answers to writes that came with a key. Orders are not
// among them: the order service remembers its own. Writes with the same key run one
// at a time, so that the second of two finds the first one's answer.
type replays struct {
	mu      sync.Mutex
	known   map[replayKey]replay
	order   []replayKey                 // oldest first
	running map[replayKey]chan struct{} // closed when it has ended
}

type replayKey struct{ who, key string }

type replay struct {
	request [sha256.Size]byte // of method, path, query and body
	out     answer
	at      time.Time
}

// once runs a write; where its key has come before, the first answer comes
// again. Only answers of success are remembered.
func (a *API) once(c *call, write func(*API, *call) (answer, error)) (answer, error) {
	key, err := c.key()
	switch {
	case err != nil:
		return answer{}, err
	case key == "":
		return write(a, c)
	}
	request, err := c.fingerprint()
	if err != nil {
		return answer{}, err
	}
	k := replayKey{c.caller(), key}
	was, found, err := a.replays.begin(c.Context(), k, a.cfg.Now())
	switch {
	case err != nil:
		return answer{}, err
	case found && was.request != request:
		return answer{}, area.Errorf(area.CodeIdempotencyMismatch, "the key %.40q came with another request before", key)
	case found:
		was.out.replayed = true
		return was.out, nil
	}
	defer a.replays.end(k)
	out, err := write(a, c)
	if err == nil {
		out, err = out.kept()
	}
	if err == nil {
		a.replays.put(k, replay{request: request, out: out, at: a.cfg.Now()})
	}
	return out, err
}

// begin answers what a key has had before. Where that is nothing its write begins;
// [replays.end] ends it. It waits for one that runs, or until ctx ends.
func (r *replays) begin(ctx context.Context, k replayKey, now time.Time) (was replay, found bool, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for {
		if was, ok := r.known[k]; ok && now.Sub(was.at) < replayTime {
			return was, true, nil
		}
		busy := r.running[k]
		if busy == nil {
			break
		}
		r.mu.Unlock()
		select {
		case <-busy:
		case <-ctx.Done():
			err = ctx.Err()
		}
		r.mu.Lock()
		if err != nil {
			return was, false, err
		}
	}
	if r.running == nil {
		r.running = map[replayKey]chan struct{}{}
	}
	r.running[k] = make(chan struct{})
	return was, false, nil
}

func (r *replays) end(k replayKey) {
	r.mu.Lock()
	defer r.mu.Unlock()
	close(r.running[k])
	delete(r.running, k)
}

// put remembers an answer.
func (r *replays) put(k replayKey, v replay) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.known == nil {
		r.known = map[replayKey]replay{}
	}
	if len(r.order) >= mostReplays {
		delete(r.known, r.order[0])
		r.order = r.order[1:]
	}
	if _, ok := r.known[k]; !ok {
		r.order = append(r.order, k)
	}
	r.known[k] = v
}

// kept is the answer with its body as it was written, whatever becomes of the
// object.
func (out answer) kept() (answer, error) {
	if out.body == nil {
		return out, nil
	}
	raw, err := json.Marshal(out.body)
	out.body, out.raw, out.kind = nil, raw, cmp.Or(out.kind, "application/json")
	return out, err
}

// fingerprint tells requests apart; the body can still be read after it.
func (c *call) fingerprint() (sum [sha256.Size]byte, err error) {
	b, err := c.read()
	if err != nil {
		return sum, err
	}
	c.Body = io.NopCloser(bytes.NewReader(b))
	return sha256.Sum256([]byte(c.Method + " " + c.URL.RequestURI() + "\n" + string(b))), nil
}

// key is the idempotency key of a request; a header that is empty is a fault,
// one that is absent is none.
func (c *call) key() (string, error) {
	given := c.Header.Values("Idempotency-Key")
	switch {
	case len(given) == 0:
		return "", nil
	case len(given) > 1 || given[0] == "" || utf8.RuneCountInString(given[0]) > maxKey:
		return "", area.InvalidField("Idempotency-Key", "one of 1 to %d characters is allowed", maxKey)
	}
	return given[0], nil
}
