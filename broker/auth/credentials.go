package auth

import (
	"cmp"
	"encoding/hex"
	"slices"
	"strings"
	"time"

	"github.com/tacet-hub/tacet/broker/area"
)

// secretForm stands before the SHA-256 of a secret in an [area.Credential]; the
// hash of a password has its own form.
const secretForm = "$sha256$"

// Credentials are how the devices of an area in the default tenant show who
// they are, by name: what the area's leader needs to let them in while the hub
// cannot be reached. It does not block; see [Authority.People] for who else may come.
func (a *Authority) Credentials(in area.Name) []area.Credential {
	a.mu.RLock()
	defer a.mu.RUnlock()
	var list []area.Credential
	for _, r := range a.by {
		p := r.principal
		switch {
		case p.Kind != KindDevice || p.Area != in || p.Tenant != DefaultTenant:
		case r.phc != "":
			list = append(list, area.Credential{Name: p.Name, Hash: r.phc})
		case r.secret != "":
			list = append(list, area.Credential{Name: p.Name, Hash: secretForm + r.secret})
		}
	}
	slices.SortFunc(list, func(x, y area.Credential) int { return strings.Compare(x.Name, y.Name) })
	return list
}

// People are those who may announce in an area of the default tenant, or more, and
// how they show who they are: what the area's leader needs to let them in while the
// hub cannot be reached. An admin's password is not among them, since whoever guesses
// it has the hub; an admin's token, which nobody guesses, is that of an operator
// there. They stand in the order of what they may do, then by name. It does not
// block.
func (a *Authority) People(in area.Name) []area.Person {
	a.mu.RLock()
	defer a.mu.RUnlock()
	var list []area.Person
	for _, r := range a.by {
		p := r.principal
		if p.Kind == KindDevice || p.Tenant != DefaultTenant || !p.may(Announce, in) || !p.Expires.IsZero() && !a.now().Before(p.Expires) {
			continue
		}
		one := area.Person{Name: p.Name, Role: RoleAnnouncer, Everywhere: p.everywhere()}
		if p.rank() >= Operate {
			one.Role = RoleOperator
		}
		switch {
		case p.Kind == KindToken && r.secret != "":
			one.Kind, one.Hash = area.PersonToken, r.secret
			if !p.Expires.IsZero() {
				one.ExpiresMs = p.Expires.UnixMilli()
			}
		case p.Kind == KindUser && r.phc != "" && p.rank() < Admin:
			one.Kind, one.Hash = area.PersonUser, r.phc
		default:
			continue
		}
		list = append(list, one)
	}
	slices.SortFunc(list, func(x, y area.Person) int {
		return cmp.Or(-strings.Compare(x.Role, y.Role), strings.Compare(x.Name, y.Name)) // "operator" is after "announcer"
	})
	return list
}

// Admit adds somebody to a [Config] of the area's leader. Its error says why it
// cannot; the Config is then as it was.
func (c *Config) Admit(p area.Person, in area.Name) error {
	areas := []string{string(in)}
	if p.Everywhere {
		areas = []string{AllAreas}
	}
	if rank := rankOf[p.Role]; rank < Announce || rank > Operate {
		return area.Errorf(area.CodeInvalid, "a %q has no business at a leader", p.Role)
	}
	var one Config
	switch p.Kind {
	case area.PersonUser:
		one.Users = []User{{Name: p.Name, PasswordHash: p.Hash, Roles: []string{p.Role}, Areas: areas}}
	case area.PersonToken:
		t := Token{Name: p.Name, Roles: []string{p.Role}, Areas: areas}
		if p.ExpiresMs != 0 {
			t.Expires = time.UnixMilli(p.ExpiresMs)
		}
		one.Tokens = []KnownToken{{t, p.Hash}}
	}
	if one.Empty() {
		return area.Errorf(area.CodeInvalid, "%q is no kind of somebody", p.Kind)
	}
	if err := one.Validate(); err != nil {
		return err
	}
	c.Users, c.Tokens = append(c.Users, one.Users...), append(c.Tokens, one.Tokens...)
	return nil
}

// DeviceOf is the device of an area that has the credential, as a
// [Config] of the area's leader names it.
func DeviceOf(c area.Credential, in area.Name) Device {
	d := Device{Name: c.Name, Area: in}
	if secret, ok := strings.CutPrefix(c.Hash, secretForm); ok {
		d.SecretHash = secret
	} else {
		d.PasswordHash = c.Hash
	}
	return d
}

// isDigest tells whether s is what digest makes.
func isDigest(s string) bool {
	b, err := hex.DecodeString(s)
	return err == nil && len(b) == 32 && strings.ToLower(s) == s
}
