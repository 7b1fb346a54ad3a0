package auth

import (
	"encoding/hex"
	"slices"
	"strings"

	"github.com/tacet-hub/tacet/broker/area"
)

// secretForm stands before the SHA-256 of a secret in an [area.Credential]; the
// hash of a password has its own form.
const secretForm = "$sha256$"

// Credentials are how the devices of an area in the default tenant show who
// they are, by name: what the area's leader needs to let them in while the hub
// cannot be reached. Users are not among them. It does not block.
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
