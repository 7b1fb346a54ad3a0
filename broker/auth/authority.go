package auth

import (
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"reflect"
	"slices"
	"sync"
	"time"

	"github.com/tacet-hub/tacet/broker/area"
)

// Authority knows who there is, and checks what they show. It is safe for
// concurrent use, and starts no goroutine.
type Authority struct {
	store Table
	now   func() time.Time
	log   *slog.Logger

	slow    *slow
	hashing *hashing
	checked *checked
	count   counters

	changing sync.Mutex // one change at a time, its write to the store included; taken before mu, never while it is held

	mu       sync.RWMutex
	revision uint64
	config   Config
	decoy    phc                  // verified for names that nobody has
	stored   map[string]*record   // by name: enrolled devices, API tokens
	by       map[string]*record   // by name: those, and over them the configured ones
	tokens   map[string]*record   // by the hash of the token
	pending  map[string]enrolment // by the hash of the code
	issuers  map[string]*issuer   // by the claim iss
	watchers map[uint64]func(Revoked)
	changes  map[uint64]func()
	nextID   uint64
}

// record is one principal and how it shows that it is.
type record struct {
	principal  Principal
	phc        string // of a configured password; empty: none
	hash       phc
	secret     string // hash of a secret that we made: an enrolled device's, an API token; empty: none
	configured bool
	created    time.Time // by whom and when an enrolled device or a token was made
	by         string
	enrolment  string // hash of the code that an enrolled device had
}

// Revoked says who has lost rights, or has others now: live connections of
// those whom it [Revoked.Hits] are to be closed. Their next sign-in tells what
// they may do, if anything.
type Revoked struct {
	Name   string // of the principal; empty: everybody of the issuer, or everybody
	Tenant string // of the principal; empty where Name is
	Issuer string // of JWTs; empty: not about one
	Reason string // in words, for the log and the client
}

// Hits tells whether the principal is one of those.
func (r Revoked) Hits(p Principal) bool {
	switch {
	case r.Issuer != "":
		return p.issuer == r.Issuer
	case r.Name == "":
		return true
	}
	return p.Name == r.Name && p.Tenant == r.Tenant
}

// New reads the table and makes an Authority. A nil store keeps what is
// enrolled and created in memory; a nil now is [time.Now]. Records that cannot
// be read are logged, counted, and grant nothing. The error is the
// configuration's, or the table's.
func New(cfg Config, store Table, now func() time.Time, log *slog.Logger) (*Authority, error) {
	if store == nil {
		store = &memory{}
	}
	if now == nil {
		now = time.Now
	}
	a := &Authority{
		store: store, now: now, log: log, slow: newSlow(), hashing: newHashing(), checked: newChecked(),
		stored: map[string]*record{}, tokens: map[string]*record{}, pending: map[string]enrolment{},
		watchers: map[uint64]func(Revoked){}, changes: map[uint64]func(){},
	}
	if err := a.load(); err != nil {
		return nil, fmt.Errorf("auth: %w", err)
	}
	if err := a.Reload(cfg); err != nil {
		return nil, err
	}
	return a, nil
}

// Open tells whether nobody is configured, enrolled or holds an API token:
// then there is nothing to check, and everybody is [Anonymous].
func (a *Authority) Open() bool {
	a.mu.RLock()
	defer a.mu.RUnlock()
	return a.open()
}

func (a *Authority) open() bool { return a.config.Empty() && len(a.stored) == 0 }

// Reload takes a new configuration, and revokes what is gone or changed. A bad
// one, and one that would open what was closed, is an error and changes
// nothing. It blocks only while another change is written.
func (a *Authority) Reload(cfg Config) error {
	if err := cfg.Validate(); err != nil {
		return fmt.Errorf("auth: %w", err)
	}
	a.changing.Lock()
	revoked, err := a.reload(cfg)
	a.changing.Unlock()
	a.tell(revoked...)
	a.changed(err)
	return err
}

func (a *Authority) reload(cfg Config) ([]Revoked, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	first := a.by == nil
	wasOpen := !first && a.open()
	if !first && !wasOpen && cfg.Empty() && len(a.stored) == 0 {
		return nil, errors.New("auth: the new configuration has nobody in it; a hub opens only by a restart")
	}
	configured := configuredRecords(cfg)
	for name, r := range configured {
		if old := a.by[name]; old != nil && old.same(r) {
			configured[name] = old
			continue
		}
		a.stamp(r)
		if a.stored[name] != nil {
			a.log.Warn("configured over what is stored", "device", name)
		}
	}
	issuers, err := a.reloadIssuers(cfg)
	if err != nil {
		return nil, err
	}
	before := a.by
	a.config, a.issuers, a.decoy = cfg, issuers.now, newDecoy(configured)
	a.by = configured
	for name, r := range a.stored {
		if a.by[name] == nil {
			a.by[name] = r
		}
	}
	a.knowTokens()
	revoked := issuers.revoked
	for name, old := range before {
		if a.by[name] != old {
			revoked = append(revoked, Revoked{Name: name, Tenant: old.principal.Tenant, Reason: "the configuration has changed"})
		}
	}
	if wasOpen && !a.open() {
		revoked = append(revoked, Revoked{Reason: "the hub is open no more"})
	}
	return revoked, nil
}

// configuredRecords makes a record of each principal in the configuration,
// which is valid.
func configuredRecords(cfg Config) map[string]*record {
	all := make(map[string]*record, len(cfg.Users)+len(cfg.Devices))
	add := func(p Principal, text, secret string) {
		r := &record{principal: p, phc: text, secret: secret, configured: true}
		if text != "" {
			r.hash, _ = parsePHC(text)
		}
		all[p.Name] = r
	}
	for _, u := range cfg.Users {
		add(u.principal(), u.PasswordHash, "")
	}
	for _, t := range cfg.Tokens {
		add(t.principal(), "", t.Hash)
		all[t.Name].created, all[t.Name].by = t.Created, t.By
	}
	for _, d := range cfg.Devices {
		add(d.principal(), d.PasswordHash, d.SecretHash)
		if d.Secret != "" {
			all[d.Name].secret = digest(d.Secret)
		}
	}
	return all
}

// knowTokens finds the tokens by what is shown of them; mu is held.
func (a *Authority) knowTokens() {
	clear(a.tokens)
	for _, r := range a.by {
		if r.principal.Kind == KindToken && r.secret != "" {
			a.tokens[r.secret] = r
		}
	}
}

// same tells whether two records grant the same to the same.
func (r *record) same(other *record) bool {
	p, q := r.principal, other.principal
	p.rev, q.rev, p.access, q.access = 0, 0, nil, nil
	return r.configured == other.configured && r.phc == other.phc && r.secret == other.secret && reflect.DeepEqual(p, q)
}

// stamp gives a record a revision of its own.
func (a *Authority) stamp(r *record) {
	a.revision++
	r.principal.rev, r.principal.access = a.revision, r.principal.Access()
}

// Stands answers nil where a principal that this Authority made is still what
// it was: not revoked, not changed, not expired. Else the error is of code
// unauthorized. It is cheap, and does not block.
func (a *Authority) Stands(p Principal) error {
	if !p.Expires.IsZero() && !a.now().Before(p.Expires) {
		return area.Errorf(area.CodeUnauthorized, "the proof of %s has expired", p.Name)
	}
	a.mu.RLock()
	defer a.mu.RUnlock()
	ok := false
	switch r := a.by[p.Name]; {
	case p.Kind == KindAnonymous:
		ok = a.open()
	case p.issuer != "" && (a.issuers[p.issuer] == nil || a.issuers[p.issuer].rev != p.issuerRev):
	case p.issuer != "" && p.rev == 0:
		ok = r == nil // a local principal of that name has come since
	default:
		ok = r != nil && r.principal.rev == p.rev && p.rev != 0
	}
	if !ok {
		return area.Errorf(area.CodeUnauthorized, "the rights of %s were withdrawn or have changed", p.Name)
	}
	return nil
}

// AccessOf answers the rules of a principal that is configured or stored, and
// whether there is one. It does not block.
func (a *Authority) AccessOf(tenant, name string) (*Access, bool) {
	r := a.record(name)
	if r == nil || r.principal.Tenant != tenantOr(tenant) {
		return nil, false
	}
	return r.principal.access, true
}

// HasIssuers tells whether there may be principals of whom only an issuer of
// JWTs knows.
func (a *Authority) HasIssuers() bool {
	a.mu.RLock()
	defer a.mu.RUnlock()
	return len(a.issuers) > 0
}

// Watch calls enqueue for every revocation from now on. It must only enqueue:
// not block, and not call the Authority. After cancel has returned no new call
// begins.
func (a *Authority) Watch(enqueue func(Revoked)) (cancel func()) {
	a.mu.Lock()
	defer a.mu.Unlock()
	id := a.nextID
	a.nextID++
	a.watchers[id] = enqueue
	return func() {
		a.mu.Lock()
		defer a.mu.Unlock()
		delete(a.watchers, id)
	}
}

// Changes calls signal after each change of who there is, or of how somebody shows
// that he is, from now on. It must only signal: not block, and not call the
// Authority. After cancel has returned no new call begins.
func (a *Authority) Changes(signal func()) (cancel func()) {
	a.mu.Lock()
	defer a.mu.Unlock()
	id := a.nextID
	a.nextID++
	a.changes[id] = signal
	return func() {
		a.mu.Lock()
		defer a.mu.Unlock()
		delete(a.changes, id)
	}
}

// changed tells who listens of a change, unless it was none; without a lock.
func (a *Authority) changed(err error) {
	if err != nil {
		return
	}
	a.mu.RLock()
	list := slices.Collect(maps.Values(a.changes))
	a.mu.RUnlock()
	for _, signal := range list {
		signal()
	}
}

// tell calls the watchers, without a lock.
func (a *Authority) tell(revoked ...Revoked) {
	if len(revoked) == 0 {
		return
	}
	a.mu.RLock()
	watchers := make([]func(Revoked), 0, len(a.watchers))
	for _, w := range a.watchers {
		watchers = append(watchers, w)
	}
	a.mu.RUnlock()
	for _, r := range revoked {
		a.count.revoked.Add(1)
		a.log.Info("rights withdrawn", "device", r.Name, "err", r.Reason)
		for _, w := range watchers {
			w(r)
		}
	}
}

// change makes one change to what is stored: f, which may write to the table,
// runs alone.
func (a *Authority) change(f func() ([]Revoked, error)) error {
	a.changing.Lock()
	revoked, err := f()
	a.changing.Unlock()
	a.tell(revoked...)
	a.changed(err)
	return err
}
