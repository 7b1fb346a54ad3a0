package auth

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/binary"
	"encoding/hex"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tacet-hub/tacet/broker/area"
)

// errWho is the one answer to a wrong name and to a wrong password.
func errWho() error { return area.Errorf(area.CodeUnauthorized, "name or password is wrong") }

// Password checks the password of a user, or the password or the enrolled
// secret of a device. Source is where the attempt comes from, an IP address with
// or without a port; after five wrong attempts it is slowed, see [RetryAfter];
// an empty source is not slowed.
//
// The error is of code unauthorized where name or password is wrong, and does
// not tell which; of code rate where the source is slowed; of code degraded where
// too many wait; or ctx's. It may take a second on a small machine, and waits for its turn: two
// passwords are hashed at a time. One that was right is remembered for a day,
// as a keyed hash, so that a fleet can come back at once.
func (a *Authority) Password(ctx context.Context, source, name, password string) (Principal, error) {
	source = sourceOf(source)
	if err := a.slowed(source, name); err != nil {
		return Principal{}, err
	}
	r := a.record(name)
	right, err := a.check(ctx, source, name, r, password)
	if err != nil {
		return Principal{}, err
	}
	if !right || r == nil {
		a.wrong(source, name)
		a.count.wrongPasswords.Add(1)
		return Principal{}, errWho()
	}
	a.slow.good(source, name, a.now())
	a.count.passwords.Add(1)
	return r.principal, nil
}

// wrong counts a wrong attempt, and logs once that its source is slowed from now
// on. The name is not logged: who mistook the field may have typed a password.
func (a *Authority) wrong(source, name string) {
	if a.slow.fail(source, name, a.now()) {
		a.log.Warn("source slowed, too many wrong attempts", "conn", source, "n", freeTries)
	}
}

func (a *Authority) record(name string) *record {
	a.mu.RLock()
	defer a.mu.RUnlock()
	return a.by[name]
}

// check tells whether the password is right. A wrong one costs the same whether
// there is a record or not.
func (a *Authority) check(ctx context.Context, source, name string, r *record, password string) (bool, error) {
	if len(password) == 0 || len(password) > maxPassword {
		return false, nil
	}
	if r != nil && r.principal.Kind == KindDevice && r.secret != "" && hmac.Equal([]byte(r.secret), []byte(digest(password))) {
		return true, nil
	}
	hash, known := a.decoyHash(), r != nil && r.phc != ""
	key := checkedKey{}
	if known {
		hash = r.hash
		key = a.checked.key(name, r.phc, password)
		if a.checked.has(key, a.now()) {
			a.count.remembered.Add(1)
			return true, nil
		}
	}
	leave, err := a.hashing.enter(ctx)
	if err != nil {
		a.count.busy.Add(1)
		return false, err
	}
	defer leave()
	if err := a.slowed(source, name); err != nil { // others from there were wrong meanwhile
		return false, err
	}
	right := hash.verify([]byte(password)) && known
	if right {
		a.checked.add(key, a.now())
	}
	return right, nil
}

// Certificate answers the device that a client certificate names: its common
// name or one of its DNS names is, exactly, the name of one device, and no
// other. The caller has verified the certificate. The error is of code
// unauthorized.
func (a *Authority) Certificate(leaf *x509.Certificate) (Principal, error) {
	a.mu.RLock()
	defer a.mu.RUnlock()
	var found *record
	for _, name := range append(slices.Clone(leaf.DNSNames), leaf.Subject.CommonName) {
		r := a.by[name]
		if r == nil || r.principal.Kind != KindDevice || r == found {
			continue
		}
		if found != nil {
			found = nil
			break
		}
		found = r
	}
	if found == nil {
		a.count.wrongCertificates.Add(1)
		return Principal{}, area.Errorf(area.CodeUnauthorized, "the certificate names no device, or more than one")
	}
	a.count.certificates.Add(1)
	p := found.principal
	p.Expires = leaf.NotAfter
	return p, nil
}

// digest is how secrets of our own making are kept: they have 128 bits or more,
// which nobody guesses, so a fast hash will do.
func digest(secret string) string {
	sum := sha256.Sum256([]byte(secret))
	return hex.EncodeToString(sum[:])
}

func (a *Authority) decoyHash() phc {
	a.mu.RLock()
	defer a.mu.RUnlock()
	return a.decoy
}

// newDecoy is a hash that no password fits, of the cost of a configured one: of
// the first by name, since a site makes all of its hashes alike.
func newDecoy(configured map[string]*record) phc {
	h := phc{memory: hashMemory, passes: hashPasses, lanes: hashLanes, salt: make([]byte, saltSize), key: make([]byte, keySize)}
	for _, name := range slices.Sorted(maps.Keys(configured)) {
		if r := configured[name]; r.phc != "" {
			h.memory, h.passes, h.lanes = r.hash.memory, r.hash.passes, r.hash.lanes
			break
		}
	}
	_, _ = rand.Read(h.salt) // never fails: package crypto/rand
	_, _ = rand.Read(h.key)
	return h
}

const (
	maxHashing = 2   // at a time: 38 MiB, and both cores of a small machine
	maxWaiting = 512 // for their turn; a further one is refused as busy, and counted
)

// hashing bounds how many passwords are hashed at a time, and how many wait.
type hashing struct {
	turn    chan struct{} // holds a token for each
	waiting atomic.Int64
}

func newHashing() *hashing { return &hashing{turn: make(chan struct{}, maxHashing)} }

// enter waits for its turn, and answers how to give it back.
func (h *hashing) enter(ctx context.Context) (leave func(), err error) {
	if h.waiting.Add(1) > maxWaiting {
		h.waiting.Add(-1)
		return nil, &slowError{wait: time.Second, err: area.Errorf(area.CodeDegraded, "too many sign-ins wait")}
	}
	defer h.waiting.Add(-1)
	select {
	case h.turn <- struct{}{}:
		return func() { <-h.turn }, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

const (
	checkedFor = 24 * time.Hour // a fleet that was connected for long comes back at once after the network has failed
	maxChecked = 16384          // at the limit one is forgotten, which costs a hash
)

type checkedKey [sha256.Size]byte

// checked remembers right passwords, as hashes under a key that the process
// alone has. The hash of the configuration is part of it, so that a changed
// password is not remembered.
type checked struct {
	secret []byte

	mu    sync.Mutex
	until map[checkedKey]time.Time
}

func newChecked() *checked {
	c := &checked{secret: make([]byte, 32), until: map[checkedKey]time.Time{}}
	_, _ = rand.Read(c.secret) // never fails: package crypto/rand
	return c
}

func (c *checked) key(name, phc, password string) (k checkedKey) {
	mac := hmac.New(sha256.New, c.secret)
	for _, s := range []string{name, phc, password} {
		mac.Write(binary.BigEndian.AppendUint32(nil, uint32(len(s))))
		mac.Write([]byte(s))
	}
	mac.Sum(k[:0])
	return k
}

func (c *checked) has(k checkedKey, now time.Time) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	until, ok := c.until[k]
	if ok && !now.Before(until) {
		delete(c.until, k)
		return false
	}
	return ok
}

func (c *checked) add(k checkedKey, now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for old := range c.until {
		if len(c.until) < maxChecked {
			break
		}
		delete(c.until, old)
	}
	c.until[k] = now.Add(checkedFor)
}
