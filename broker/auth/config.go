package auth

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/tacet-hub/tacet/broker/area"
)

// Config says who there is and whom to believe. The zero value configures
// nobody: see [Authority.Open].
type Config struct {
	Users              []User
	Tokens             []KnownToken
	Devices            []Device
	Issuers            []Issuer
	ClientCertificates bool // certificates of clients are verified against a CA: devices may show one instead of a password
}

// User is a person, or a program that acts like one.
type User struct {
	Name         string   // 1 to 64 of A-Z a-z 0-9 _ . @ -, the first a letter or digit; unique among users and devices
	PasswordHash string   // argon2id, in PHC form: see [HashPassword]; empty: no sign-in by password
	Roles        []string // viewer, announcer, operator, admin; none: no rights
	Tenant       string   // empty: default
	Areas        []string // ids, or "*" for all; empty: none
}

// KnownToken is an API token that was made elsewhere, and of which only the hash is
// known here.
type KnownToken struct {
	Token
	Hash string // SHA-256 of the token, in hex
}

// Device is a device that may connect.
type Device struct {
	Name         string    // an id: 1 to 64 of A-Z a-z 0-9 _ -; unique among users and devices
	PasswordHash string    // as a user's; empty: only by certificate, by a JWT of role device, or by its secret
	Secret       string    // shown as a password, beside the one above; 32 bytes or more that nobody can guess, of which only a hash is kept; empty: none
	SecretHash   string    // SHA-256 of such a secret, in hex, where that alone is known; empty: none
	Area         area.Name // its own area; empty: none
	Tenant       string    // empty: default
	Publish      []string  // rules beside its own branch, in order, the first match decides: a filter allows, "!" and a filter denies
	Subscribe    []string  // the same for reading
}

// leastSecret is the length below which somebody might guess a secret.
const leastSecret = 32

// Issuer is whose JWTs are believed. Exactly one of PublicKey, JWKSURL and
// Secret is set.
type Issuer struct {
	Issuer     string   // claim iss, exactly; unique
	Audience   string   // must be in claim aud; empty: tacet
	Algorithms []string // the only ones taken; empty: RS256, or HS256 with a secret
	PublicKey  []byte   // one or more keys or certificates in PEM
	JWKSURL    string   // https, or http to a loopback address: where the keys are fetched, and nowhere else
	Secret     []byte   // for HS256, HS384, HS512: 32 bytes or more

	TenantClaim string   // a string; empty: tenant_id. A token without the claim is of the default tenant
	RoleClaim   string   // a string or a list; empty: roles
	UserClaim   string   // a string, 1 to 128 bytes; empty: sub
	Attributes  []string // claims that become attributes of the principal
}

// Claims with fixed names: where the roles of a JWT count ("*" without it), and
// the own area of a device.
const (
	areasClaim = "areas"
	areaClaim  = "area"
)

func (i Issuer) withDefaults() Issuer {
	fill := func(field *string, value string) {
		if *field == "" {
			*field = value
		}
	}
	fill(&i.Audience, "tacet")
	fill(&i.TenantClaim, "tenant_id")
	fill(&i.RoleClaim, "roles")
	fill(&i.UserClaim, "sub")
	if len(i.Algorithms) == 0 {
		i.Algorithms = []string{"RS256"}
		if len(i.Secret) > 0 {
			i.Algorithms = []string{"HS256"}
		}
	}
	return i
}

// Empty tells whether nobody is configured.
func (c Config) Empty() bool {
	return len(c.Users) == 0 && len(c.Tokens) == 0 && len(c.Devices) == 0 && len(c.Issuers) == 0 && !c.ClientCertificates
}

// Validate reports every fault at once, each with its place, such as
// "users[2].areas[0]".
func (c Config) Validate() error {
	f := faults{names: map[string]string{}}
	for i, u := range c.Users {
		f.user(fmt.Sprintf("users[%d]", i), u)
	}
	for i, t := range c.Tokens {
		f.token(fmt.Sprintf("tokens[%d]", i), t)
	}
	for i, d := range c.Devices {
		f.device(fmt.Sprintf("devices[%d]", i), d)
	}
	for i, one := range c.Issuers {
		f.issuer(fmt.Sprintf("jwt[%d]", i), one.withDefaults())
	}
	return errors.Join(f.all...)
}

// faults gathers what is wrong with a configuration.
type faults struct {
	all   []error
	names map[string]string // name of a principal or an issuer: where it was seen first
}

func (f *faults) add(at, format string, args ...any) {
	f.all = append(f.all, fmt.Errorf("%s: %s", at, fmt.Sprintf(format, args...)))
}

func (f *faults) once(at, name string) {
	if first, ok := f.names[name]; ok {
		f.add(at, "%q is defined at %s already", name, first)
		return
	}
	f.names[name] = at
}

func (f *faults) user(at string, u User) {
	if !validUser(u.Name) {
		f.add(at+".name", "%q is not 1 to 64 of A-Z a-z 0-9 _ . @ - with a letter or digit first, or is the hub's own", u.Name)
	}
	f.once(at+".name", u.Name)
	f.hash(at, u.PasswordHash)
	f.tenant(at, u.Tenant)
	for i, a := range u.Areas {
		if a != AllAreas && !area.IsID(a) {
			f.add(fmt.Sprintf("%s.areas[%d]", at, i), "%q is not the id of an area", a)
		}
	}
}

func (f *faults) token(at string, t KnownToken) {
	t.Tenant, t.Expires = tenantOr(t.Tenant), time.Time{} // one that has run out is none, and no fault
	if err := t.check(time.Time{}); err != nil {
		f.add(at, "%s", err)
	}
	f.once(at+".name", t.Name)
	if !isDigest(t.Hash) {
		f.add(at+".hash", "is not 64 hexadecimal digits in lower case")
	}
}

func (f *faults) device(at string, d Device) {
	if !area.IsID(d.Name) || area.ReservedClient(d.Name) {
		f.add(at+".name", "%q is not the id of a device", d.Name)
	}
	f.once(at+".name", d.Name)
	f.hash(at, d.PasswordHash)
	if d.Secret != "" && len(d.Secret) < leastSecret {
		f.add(at+".secret", "%d bytes are less than %d", len(d.Secret), leastSecret)
	}
	if d.SecretHash != "" && (d.Secret != "" || !isDigest(d.SecretHash)) {
		f.add(at+".secret_hash", "is not 64 hexadecimal digits in lower case, or stands beside the secret itself")
	}
	f.tenant(at, d.Tenant)
	if d.Area != "" && !area.IsID(string(d.Area)) {
		f.add(at+".area", "%q is not the id of an area", d.Area)
	}
	f.rules(at+".publish", d.Publish)
	f.rules(at+".subscribe", d.Subscribe)
}

func (f *faults) rules(at string, rules []string) {
	if len(rules) > maxRules {
		f.add(at, "%d rules are more than %d", len(rules), maxRules)
	}
	for i, text := range rules {
		if _, err := ParseRule(text); err != nil {
			f.add(fmt.Sprintf("%s[%d]", at, i), "%s", err)
		}
	}
}

func (f *faults) hash(at, phc string) {
	if phc == "" {
		return
	}
	if _, err := parsePHC(phc); err != nil {
		f.add(at+".password_hash", "%s", err)
	}
}

func (f *faults) tenant(at, tenant string) {
	if tenant != "" && !area.IsID(tenant) {
		f.add(at+".tenant", "%q is not the id of a tenant", tenant)
	}
}

func (f *faults) issuer(at string, i Issuer) {
	if i.Issuer == "" {
		f.add(at+".issuer", "is missing")
	}
	f.once(at+".issuer", "issuer "+i.Issuer)
	keys := 0
	for _, set := range []bool{len(i.PublicKey) > 0, i.JWKSURL != "", len(i.Secret) > 0} {
		if set {
			keys++
		}
	}
	if keys != 1 {
		f.add(at, "needs exactly one of public_key_file, jwks_url and hmac_secret_file")
		return
	}
	for _, alg := range i.Algorithms {
		if family, ok := families[alg]; !ok || (family == familyHMAC) != (len(i.Secret) > 0) {
			f.add(at+".algorithms", "%q is not an algorithm for that kind of key", alg)
		}
	}
	switch {
	case i.JWKSURL != "":
		if err := checkJWKSURL(i.JWKSURL); err != nil {
			f.add(at+".jwks_url", "%s", err)
		}
	case len(i.Secret) > 0:
		if len(i.Secret) < minSecret {
			f.add(at+".hmac_secret_file", "holds %d bytes; a secret has at least %d", len(i.Secret), minSecret)
		}
	default:
		if _, err := parsePEM(i.PublicKey, i.Algorithms); err != nil {
			f.add(at+".public_key_file", "%s", err)
		}
	}
}

const (
	maxRules  = 256 // of one device, each way
	minSecret = 32  // bytes: RFC 7518 §3.2 asks for the size of the hash
)

// checkJWKSURL demands encryption, but for a source on this machine.
func checkJWKSURL(raw string) error {
	u, err := url.Parse(raw)
	switch {
	case err != nil || u.Host == "" || u.User != nil:
		return errors.New("is not a URL without user")
	case u.Scheme == "https":
		return nil
	case u.Scheme != "http":
		return fmt.Errorf("scheme %q is not https", u.Scheme)
	case u.Hostname() == "localhost":
		return nil
	}
	if ip, err := netip.ParseAddr(u.Hostname()); err != nil || !ip.IsLoopback() {
		return errors.New("http is for loopback addresses alone: use https")
	}
	return nil
}

// validUser tells whether a user or an API token may be called so.
func validUser(name string) bool {
	if len(name) == 0 || len(name) > 64 || area.ReservedClient(name) || strings.ContainsRune("_.@-", rune(name[0])) {
		return false
	}
	for i := range len(name) {
		c := name[i]
		letter := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
		if !letter && !strings.ContainsRune("_.@-", rune(c)) {
			return false
		}
	}
	return true
}

// principal is the user as it signs in.
func (u User) principal() Principal {
	return Principal{Name: u.Name, Kind: KindUser, Tenant: tenantOr(u.Tenant), Roles: slices.Clone(u.Roles), Areas: slices.Clone(u.Areas)}
}

// principal is the device as it connects.
func (d Device) principal() Principal {
	return Principal{Name: d.Name, Kind: KindDevice, Tenant: tenantOr(d.Tenant), Area: d.Area,
		Publish: slices.Clone(d.Publish), Subscribe: slices.Clone(d.Subscribe)}
}

// principal is the token as it is shown.
func (t Token) principal() Principal {
	return Principal{Name: t.Name, Kind: KindToken, Tenant: tenantOr(t.Tenant), Roles: slices.Clone(t.Roles), Areas: slices.Clone(t.Areas), Expires: t.Expires}
}

func tenantOr(tenant string) string {
	if tenant == "" {
		return DefaultTenant
	}
	return tenant
}
