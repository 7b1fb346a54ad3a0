package auth

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/golang-jwt/jwt/v5"

	"github.com/tacet-hub/tacet/broker/area"
)

const (
	maxBearer    = 8 << 10          // bytes of a token, checked before anything is read of it
	nbfLeeway    = 30 * time.Second // for a clock that is ahead of ours; exp has none
	maxRoles     = 32
	maxClaim     = 128 // bytes of a name, a role, an area
	maxAttribute = 256 // bytes of an attribute
	maxInstant   = 1 << 40
)

// issuer is a configured issuer with its keys.
type issuer struct {
	cfg  Issuer
	keys keySource
	rev  uint64
}

// reloaded is what becomes of the issuers in a reload.
type reloaded struct {
	now     map[string]*issuer
	revoked []Revoked
}

// reloadIssuers keeps the issuers that have not changed, with their fetched
// keys. It is called with mu held.
func (a *Authority) reloadIssuers(cfg Config) (r reloaded, err error) {
	r.now = map[string]*issuer{}
	for _, c := range cfg.Issuers {
		c = c.withDefaults()
		if old := a.issuers[c.Issuer]; old != nil && reflect.DeepEqual(old.cfg, c) {
			r.now[c.Issuer] = old
			continue
		}
		keys, err := a.keysOf(c)
		if err != nil {
			return reloaded{}, fmt.Errorf("auth: issuer %s: %w", c.Issuer, err)
		}
		a.revision++
		r.now[c.Issuer] = &issuer{cfg: c, keys: keys, rev: a.revision}
	}
	for name, old := range a.issuers {
		if r.now[name] != old {
			r.revoked = append(r.revoked, Revoked{Issuer: name, Reason: "the issuer's configuration has changed"})
		}
	}
	return r, nil
}

// LooksLikeBearer tells whether a password, by its looks, is a token for
// [Authority.Bearer]: a JWT, or one of our API tokens.
func LooksLikeBearer(s string) bool {
	return strings.HasPrefix(s, tokenPrefix) || strings.HasPrefix(s, "ey") && strings.Count(s, ".") == 2
}

// Bearer checks a JWT of a configured issuer or an API token of ours. Source is
// as for [Authority.Password], but it is the wrong ones alone that are slowed: a
// good token passes, whatever else came from there.
//
// A JWT must be of the issuer's algorithms and its key of their type, without
// the header crit, for the issuer's audience, with a whole number as exp that
// lies ahead, and with a subject. Keys come from the issuer's configuration
// alone: what the header says of keys, but for the kid, is not looked at. The
// error is of code unauthorized, rate, or ctx's; its text holds nothing of the
// token. It may wait for the issuer's keys to be fetched, five seconds at most.
func (a *Authority) Bearer(ctx context.Context, source, raw string) (Principal, error) {
	source = sourceOf(source)
	p, err := a.bearer(ctx, raw)
	if err == nil {
		a.count.bearers.Add(1)
		return p, nil
	}
	a.count.wrongBearers.Add(1)
	if ctx.Err() != nil || errors.Is(err, errExpired) { // an honest client whose time is over guesses nothing
		return Principal{}, err
	}
	if slowed := a.slowed(source, ""); slowed != nil {
		return Principal{}, slowed
	}
	a.wrong(source, "")
	return Principal{}, err
}

// What may be said about a bad token.
var (
	errToken   = area.Errorf(area.CodeUnauthorized, "the token is not valid")
	errExpired = area.Errorf(area.CodeUnauthorized, "the token has expired")
	errNoKey   = area.Errorf(area.CodeUnauthorized, "the keys of the token's issuer cannot be had now")
)

func (a *Authority) bearer(ctx context.Context, raw string) (Principal, error) {
	switch {
	case len(raw) == 0 || len(raw) > maxBearer:
		return Principal{}, errToken
	case strings.HasPrefix(raw, tokenPrefix):
		return a.token(raw)
	case !compact(raw):
		return Principal{}, errToken
	}
	var by *issuer
	claims := jwt.MapClaims{}
	_, err := jwtParser.ParseWithClaims(raw, claims, func(t *jwt.Token) (key any, err error) {
		by, key, err = a.keyFor(ctx, t, claims)
		return key, err
	})
	switch {
	case errors.Is(err, errNoKey):
		return Principal{}, errNoKey
	case err != nil || by == nil:
		return Principal{}, errToken
	}
	return a.claimed(by, claims)
}

// compact tells whether a token has the letters of three parts in base64url and
// no others: a decoder would pass over line feeds.
func compact(raw string) bool {
	dots := 0
	for i := range len(raw) {
		switch c := raw[i]; {
		case c == '.':
			dots++
		case c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '_':
		default:
			return false
		}
	}
	return dots == 2
}

// jwtParser checks form and signature. The claims are checked by us: all of
// them, in one place.
var jwtParser = jwt.NewParser(jwt.WithValidMethods(algorithms()), jwt.WithJSONNumber(), jwt.WithStrictDecoding(), jwt.WithoutClaimsValidation())

// keyFor answers the issuer that an unverified token names, and the key that
// must have signed it.
func (a *Authority) keyFor(ctx context.Context, t *jwt.Token, claims jwt.MapClaims) (*issuer, any, error) {
	if _, critical := t.Header["crit"]; critical { // RFC 7515 §4.1.11: we understand no extension
		return nil, nil, errToken
	}
	name, _ := claims["iss"].(string)
	a.mu.RLock()
	by := a.issuers[name]
	a.mu.RUnlock()
	if by == nil {
		return nil, nil, errToken
	}
	kid, given := t.Header["kid"]
	id, isText := kid.(string)
	alg := t.Method.Alg()
	if !slices.Contains(by.cfg.Algorithms, alg) || given && (!isText || id == "") {
		return nil, nil, errToken
	}
	key, err := by.keys.find(ctx, alg, id)
	return by, key, err
}

// claimed makes a principal of claims whose signature is right.
func (a *Authority) claimed(by *issuer, claims jwt.MapClaims) (Principal, error) {
	expires, err := a.inTime(claims)
	if err != nil {
		return Principal{}, err
	}
	audience, ok := texts(claims["aud"])
	if !ok || !slices.Contains(audience, by.cfg.Audience) {
		return Principal{}, errToken
	}
	p := Principal{Kind: KindUser, Expires: expires, Claims: claims, issuer: by.cfg.Issuer, issuerRev: by.rev}
	var okName, okTenant, okRoles, okAreas bool
	p.Name, okName = name(claims[by.cfg.UserClaim])
	p.Tenant, okTenant = optional(claims, by.cfg.TenantClaim, DefaultTenant)
	p.Roles, okRoles = optionalList(claims, by.cfg.RoleClaim, nil)
	p.Areas, okAreas = optionalList(claims, areasClaim, []string{AllAreas})
	if !okName || !okTenant || !area.IsID(p.Tenant) || !okRoles || !okAreas {
		return Principal{}, errToken
	}
	p.Attributes = attributes(claims, by.cfg.Attributes)
	return a.place(p, claims)
}

// place decides whether the subject of a JWT is a device or a user. A device
// that is configured or enrolled has the area and the rules that are kept for
// it; a user must not have the name of somebody whom we know ourselves.
func (a *Authority) place(p Principal, claims jwt.MapClaims) (Principal, error) {
	local := a.record(p.Name)
	if !slices.Contains(p.Roles, RoleDevice) {
		if local != nil {
			return Principal{}, errToken
		}
		return p, nil
	}
	if !area.IsID(p.Name) || area.ReservedClient(p.Name) {
		return Principal{}, errToken
	}
	own, ok := optional(claims, areaClaim, "")
	if !ok || own != "" && !area.IsID(own) {
		return Principal{}, errToken
	}
	p.Kind, p.Area, p.Roles, p.Areas = KindDevice, area.Name(own), nil, nil
	if local == nil {
		return p, nil
	}
	known := local.principal
	if known.Kind != KindDevice || known.Tenant != p.Tenant || own != "" && own != string(known.Area) {
		return Principal{}, errToken
	}
	p.Area, p.Publish, p.Subscribe, p.rev = known.Area, known.Publish, known.Subscribe, known.rev
	return p, nil
}

// inTime checks exp, nbf and iat, which are whole numbers here.
func (a *Authority) inTime(claims jwt.MapClaims) (expires time.Time, err error) {
	exp, ok := instant(claims["exp"])
	if !ok {
		return time.Time{}, errToken
	}
	now := a.now()
	if !now.Before(exp) {
		return time.Time{}, errExpired
	}
	for _, name := range []string{"nbf", "iat"} {
		v, given := claims[name]
		if !given {
			continue
		}
		if from, ok := instant(v); !ok || name == "nbf" && now.Add(nbfLeeway).Before(from) {
			return time.Time{}, errToken
		}
	}
	return exp, nil
}

func instant(v any) (time.Time, bool) {
	n, ok := v.(json.Number)
	if !ok {
		return time.Time{}, false
	}
	sec, err := n.Int64()
	if err != nil || sec <= 0 || sec > maxInstant {
		return time.Time{}, false
	}
	return time.Unix(sec, 0), true
}

// name is the claim that names the subject: text that can stand in a log line.
func name(v any) (string, bool) {
	s, ok := v.(string)
	if !ok || s == "" || len(s) > maxClaim || !utf8.ValidString(s) || area.ReservedClient(s) {
		return "", false
	}
	for _, r := range s {
		if r < 0x20 || r >= 0x7f && r < 0xa0 {
			return "", false
		}
	}
	return s, true
}

// optional is a claim that may be missing, but must be text if it is there.
func optional(claims jwt.MapClaims, name, missing string) (string, bool) {
	v, given := claims[name]
	if !given || v == nil {
		return missing, true
	}
	s, ok := v.(string)
	return s, ok
}

func optionalList(claims jwt.MapClaims, name string, missing []string) ([]string, bool) {
	v, given := claims[name]
	if !given || v == nil {
		return missing, true
	}
	return texts(v)
}

// texts is a claim that is a text or a list of texts.
func texts(v any) ([]string, bool) {
	if s, ok := v.(string); ok {
		return []string{s}, len(s) <= maxBearer
	}
	list, ok := v.([]any)
	if !ok || len(list) > maxRoles {
		return nil, false
	}
	out := make([]string, len(list))
	for i, one := range list {
		if out[i], ok = one.(string); !ok {
			return nil, false
		}
	}
	return out, true
}

// attributes are the named claims that are texts, numbers or truth values.
func attributes(claims jwt.MapClaims, names []string) map[string]string {
	var out map[string]string
	for _, n := range names {
		var s string
		switch v := claims[n].(type) {
		case string:
			s = v
		case json.Number:
			s = v.String()
		case bool:
			s = fmt.Sprint(v)
		default:
			continue
		}
		if len(s) > maxAttribute {
			continue
		}
		if out == nil {
			out = map[string]string{}
		}
		out[n] = s
	}
	return out
}
