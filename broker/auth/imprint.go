package auth

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
)

// Imprint names what a principal with a password or a secret was when it showed who it
// is: the proof, and what it may do. It is the same at all nodes of a hub that know
// the same of it, and tells nothing of the proof. Empty: it is nobody's that is
// configured or stored.
func (a *Authority) Imprint(p Principal) string {
	r := a.record(p.Name)
	if r == nil || p.rev == 0 || r.principal.rev != p.rev {
		return ""
	}
	return r.imprint()
}

// Revive answers the principal of a name whose imprint is still that one; false where
// there is none. It does not block.
func (a *Authority) Revive(name, imprint string) (Principal, bool) {
	r := a.record(name)
	if r == nil || imprint == "" || r.imprint() != imprint {
		return Principal{}, false
	}
	return r.principal, true
}

func (r *record) imprint() string {
	p := r.principal
	b, err := json.Marshal([]any{p.Name, p.Kind, p.Tenant, p.Roles, p.Areas, p.Area, p.Publish, p.Subscribe, r.phc, r.secret})
	if err != nil {
		panic("auth: " + err.Error()) // texts always have JSON
	}
	sum := sha256.Sum256(append([]byte("tacet imprint\x00"), b...))
	return hex.EncodeToString(sum[:16])
}
