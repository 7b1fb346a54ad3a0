package auth

import (
	"context"
	"crypto/rand"
	"encoding/base32"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"github.com/tacet-hub/tacet/broker/area"
)

// tokenPrefix begins every API token, so that a person, and a scanner for
// leaked secrets, knows one at sight.
const tokenPrefix = "tct_"

const maxTokens = 1000

// Token is an API token as it is listed: without its secret.
type Token struct {
	Name    string    `json:"name"`   // unique among users, devices and tokens
	Tenant  string    `json:"tenant"` // empty: default
	Roles   []string  `json:"roles"`
	Areas   []string  `json:"areas"`            // ids, or "*"; empty: none
	Expires time.Time `json:"expires,omitzero"` // zero: never
	Created time.Time `json:"created"`
	By      string    `json:"by"` // who made it
}

// storedToken is how a token is kept.
type storedToken struct {
	V int `json:"v"`
	Token
	Hash string `json:"hash"` // of the secret, SHA-256 in hex
}

func tokenKey(name string) string { return "token/" + name }

// CreateToken makes an API token, and answers its secret, which is shown this
// once: only its hash is kept. Created is set here. The error is of code
// invalid, exists, rate where there are 1000 already, conflict in open mode, or
// the table's. It blocks until the token is durable.
func (a *Authority) CreateToken(ctx context.Context, t Token) (secret string, err error) {
	t.Tenant, t.Created = tenantOr(t.Tenant), a.now().UTC().Truncate(time.Millisecond)
	if err := t.check(a.now()); err != nil {
		return "", err
	}
	secret = tokenPrefix + newSecret()
	kept := storedToken{V: 1, Token: t, Hash: digest(secret)}
	err = a.change(func() ([]Revoked, error) {
		if err := a.room(t.Name, maxTokens, func() int { return len(a.tokens) }); err != nil {
			return nil, err
		}
		value, err := json.Marshal(kept)
		if err != nil {
			return nil, err
		}
		if err := a.store.Put(ctx, tokenKey(t.Name), value); err != nil {
			return nil, err
		}
		a.mu.Lock()
		defer a.mu.Unlock()
		a.keepToken(kept)
		return nil, nil
	})
	if err != nil {
		return "", err
	}
	return secret, nil
}

func (t Token) check(now time.Time) error {
	switch {
	case !validUser(t.Name):
		return area.InvalidField("name", "is not 1 to 64 of A-Z a-z 0-9 _ . @ - with a letter or digit first")
	case !area.IsID(t.Tenant):
		return area.InvalidField("tenant", "is not the id of a tenant")
	case !t.Expires.IsZero() && !t.Expires.After(now):
		return area.InvalidField("expires", "is not ahead")
	case len(t.Roles) == 0 || len(t.Roles) > maxRoles:
		return area.InvalidField("roles", "are not 1 to %d", maxRoles)
	}
	for _, r := range t.Roles {
		if rankOf[r] == 0 {
			return area.InvalidField("roles", "%q is none of viewer, announcer, operator, admin", r)
		}
	}
	for _, name := range t.Areas {
		if name != AllAreas && !area.IsID(name) {
			return area.InvalidField("areas", "%q is not the id of an area", name)
		}
	}
	return nil
}

// room checks that a name is free and a list not full.
func (a *Authority) room(name string, most int, have func() int) error {
	a.mu.RLock()
	defer a.mu.RUnlock()
	switch {
	case a.open():
		return area.Errorf(area.CodeConflict, "the hub is open: configure users first")
	case a.by[name] != nil:
		return area.Errorf(area.CodeExists, "the name %s is taken", name)
	case have() >= most:
		return area.Errorf(area.CodeRate, "there are %d already", most)
	}
	return nil
}

// keepToken is called with mu held.
func (a *Authority) keepToken(t storedToken) {
	r := &record{
		principal: t.principal(),
		secret:    t.Hash, created: t.Created, by: t.By,
	}
	a.stamp(r)
	a.stored[t.Name], a.tokens[t.Hash] = r, r
	if a.by != nil && a.by[t.Name] == nil {
		a.by[t.Name] = r
	}
}

// token checks an API token.
func (a *Authority) token(raw string) (Principal, error) {
	a.mu.RLock()
	defer a.mu.RUnlock()
	r := a.tokens[digest(raw)]
	switch {
	case r == nil || a.by[r.principal.Name] != r:
		return Principal{}, errToken
	case !r.principal.Expires.IsZero() && !a.now().Before(r.principal.Expires):
		return Principal{}, errExpired
	}
	return r.principal, nil
}

// Tokens lists the API tokens of a tenant, by name.
func (a *Authority) Tokens(tenant string) []Token {
	a.mu.RLock()
	defer a.mu.RUnlock()
	var list []Token
	for _, r := range a.tokens {
		if p := r.principal; p.Tenant == tenantOr(tenant) {
			list = append(list, Token{Name: p.Name, Tenant: p.Tenant, Roles: slices.Clone(p.Roles), Areas: slices.Clone(p.Areas), Expires: p.Expires, Created: r.created, By: r.by})
		}
	}
	slices.SortFunc(list, func(x, y Token) int { return strings.Compare(x.Name, y.Name) })
	return list
}

// DeleteToken takes an API token back: its live connections end. The error is
// of code not_found, or the table's. It blocks until that is durable.
func (a *Authority) DeleteToken(ctx context.Context, tenant, name string) error {
	return a.change(func() ([]Revoked, error) {
		a.mu.RLock()
		r := a.stored[name]
		a.mu.RUnlock()
		if r == nil || r.principal.Kind != KindToken || r.principal.Tenant != tenantOr(tenant) {
			return nil, area.Errorf(area.CodeNotFound, "no token %s", name)
		}
		if err := a.store.Delete(ctx, tokenKey(name)); err != nil {
			return nil, err
		}
		a.mu.Lock()
		defer a.mu.Unlock()
		a.drop(r)
		return []Revoked{{Name: name, Tenant: r.principal.Tenant, Reason: "the token was taken back"}}, nil
	})
}

// drop forgets a stored record; mu is held.
func (a *Authority) drop(r *record) {
	name := r.principal.Name
	delete(a.tokens, r.secret)
	if a.stored[name] == r {
		delete(a.stored, name)
	}
	if a.by[name] == r {
		delete(a.by, name)
	}
}

// crockford is Crockford's base 32, which has no letter that looks like a digit.
var crockford = base32.NewEncoding("0123456789ABCDEFGHJKMNPQRSTVWXYZ").WithPadding(base32.NoPadding)

// newSecret has 160 bits, in 32 letters and digits.
func newSecret() string {
	var b [20]byte
	_, _ = rand.Read(b[:]) // never fails: package crypto/rand
	return crockford.EncodeToString(b[:])
}
