package auth

import "strings"

// ChangedElsewhere takes in what the table has under a key now that another node of
// the hub has changed it; nil: nothing. It is not written again. Whoever has lost
// rights by that, or has others, is told of as [Authority.Watch] says. What cannot be
// read grants nothing; it is logged and counted. It blocks only while another change
// is written.
func (a *Authority) ChangedElsewhere(key string, value []byte) {
	kind, name, _ := strings.Cut(key, "/")
	_ = a.change(func() ([]Revoked, error) {
		a.mu.Lock()
		defer a.mu.Unlock()
		wasOpen := a.open()
		if kind == "enrolment" {
			a.takeCode(name, value)
			return nil, nil
		}
		revoked := a.takeRecord(kind, name, value)
		if wasOpen && !a.open() {
			revoked = append(revoked, Revoked{Reason: "the hub is open no more"})
		}
		return revoked, nil
	})
}

// takeCode takes in a code; mu is held.
func (a *Authority) takeCode(hash string, value []byte) {
	delete(a.pending, hash)
	if value == nil {
		return
	}
	a.takeIn("enrolment", hash, value)
	if r := a.stored[string(a.pending[hash].Device)]; r != nil && r.enrolment == hash {
		delete(a.pending, hash) // it is used
	}
}

// takeRecord takes in a device or a token; mu is held.
func (a *Authority) takeRecord(kind, name string, value []byte) []Revoked {
	old := a.stored[name]
	if old != nil && string(old.principal.Kind) != kind {
		old = nil
	}
	inForce := old != nil && a.by[name] == old
	if old != nil {
		a.drop(old)
	}
	if value != nil {
		a.takeIn(kind, name, value)
	}
	now := a.stored[name]
	switch {
	case !inForce:
		return nil
	case now != nil && old.same(now):
		now.principal.rev, now.principal.access = old.principal.rev, old.principal.access
		return nil
	}
	return []Revoked{{Name: name, Tenant: old.principal.Tenant, Reason: "the rights were changed at another node"}}
}

// takeIn is loadOne for a single record; mu is held.
func (a *Authority) takeIn(kind, name string, value []byte) {
	used := map[string]bool{}
	if err := a.loadOne(kind, name, value, used); err != nil {
		a.count.badRecords.Add(1)
		a.log.Error("stored credential cannot be read", "device", name, "err", err)
	}
	for hash := range used {
		delete(a.pending, hash)
	}
}
