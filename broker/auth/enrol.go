package auth

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/tacet-hub/tacet/broker/area"
)

const (
	enrolFor   = 15 * time.Minute
	maxEnrol   = 1000    // codes that wait
	maxDevices = 100_000 // enrolled
)

// Enrolment is what a code is good for.
type Enrolment struct {
	Device area.DeviceID `json:"device"`
	Area   area.Name     `json:"area"`   // empty: none
	Tenant string        `json:"tenant"` // empty: default
	By     string        `json:"by"`     // who made it

	// Rules beside its own branch, as those of a configured [Device]: at most 256
	// each way.
	Publish   []string `json:"publish,omitempty"`
	Subscribe []string `json:"subscribe,omitempty"`
}

// Code is a code that waits for its device.
type Code struct {
	Text     string // it is told this once
	Expires  time.Time
	Replaced bool // another one waited for the device, which is no longer good
}

// Credential is what a device gets for its code.
type Credential struct {
	Device area.DeviceID // also the name to sign in with
	Area   area.Name
	Tenant string
	Secret string // its password; it is told this once
}

// enrolment is a code that waits, as it is kept: by its hash.
type enrolment struct {
	V int `json:"v"`
	Enrolment
	Expires time.Time `json:"expires"`
}

// storedDevice is how an enrolled device is kept.
type storedDevice struct {
	V         int           `json:"v"`
	Device    area.DeviceID `json:"device"`
	Area      area.Name     `json:"area"`
	Tenant    string        `json:"tenant"`
	Hash      string        `json:"hash"` // of the secret, SHA-256 in hex
	Created   time.Time     `json:"created"`
	By        string        `json:"by"`
	Enrolment string        `json:"enrolment"` // hash of the code that it was made by, which is used up
	Publish   []string      `json:"publish,omitempty"`
	Subscribe []string      `json:"subscribe,omitempty"`
}

func enrolmentKey(hash string) string     { return "enrolment/" + hash }
func deviceKey(name area.DeviceID) string { return "device/" + string(name) }

// Enrol makes a single-use code with which a device gets a credential of its
// own: 28 letters and digits in groups of four, 140 bits, good for 15 minutes.
// Only its hash is kept. A code that waits for the device already is void: one
// alone is good, the last. A device that is enrolled already keeps its old
// credential until the code is redeemed. The error is of code invalid,
// configured where the configuration defines the device, exists where another
// principal has the name, conflict in open mode, rate where 1000 codes wait, or
// the table's. It blocks until the code is durable.
func (a *Authority) Enrol(ctx context.Context, e Enrolment) (Code, error) {
	e.Tenant = tenantOr(e.Tenant)
	if err := e.check(); err != nil {
		return Code{}, err
	}
	code := Code{Text: newCode(), Expires: a.now().Add(enrolFor).UTC().Truncate(time.Millisecond)}
	hash := digest(plainCode(code.Text))
	kept := enrolment{V: 1, Enrolment: e, Expires: code.Expires}
	err := a.change(func() (_ []Revoked, err error) {
		if err := a.enrollable(e); err != nil {
			return nil, err
		}
		if code.Replaced, err = a.makeRoom(ctx, e); err != nil {
			return nil, err
		}
		value, err := json.Marshal(kept)
		if err != nil {
			return nil, err
		}
		if err := a.store.Put(ctx, enrolmentKey(hash), value); err != nil {
			return nil, err
		}
		a.mu.Lock()
		defer a.mu.Unlock()
		a.pending[hash] = kept
		return nil, nil
	})
	if err != nil {
		return Code{}, err
	}
	return code, nil
}

func (e Enrolment) check() error {
	switch {
	case !area.IsID(string(e.Device)) || area.ReservedClient(string(e.Device)):
		return area.InvalidField("device", "is not the id of a device")
	case e.Area != "" && !area.IsID(string(e.Area)):
		return area.InvalidField("area", "is not the id of an area")
	case !area.IsID(e.Tenant):
		return area.InvalidField("tenant", "is not the id of a tenant")
	}
	return checkRules(e.Publish, e.Subscribe)
}

// checkRules tells the first fault of a device's rules.
func checkRules(publish, subscribe []string) error {
	var f faults
	f.rules("publish", publish)
	f.rules("subscribe", subscribe)
	if len(f.all) == 0 {
		return nil
	}
	field, text, _ := strings.Cut(f.all[0].Error(), ": ")
	return area.InvalidField(field, "%s", text)
}

// enrollable checks that a device may be enrolled.
func (a *Authority) enrollable(e Enrolment) error {
	a.mu.RLock()
	open, r, devices := a.open(), a.by[string(e.Device)], len(a.stored)
	a.mu.RUnlock()
	switch {
	case open:
		return area.Errorf(area.CodeConflict, "the hub is open: configure users first")
	case r != nil && r.configured && r.principal.Kind == KindDevice:
		return area.Errorf(area.CodeConfigured, "the configuration defines device %s", e.Device)
	case r != nil && (r.principal.Kind != KindDevice || r.principal.Tenant != e.Tenant):
		return area.Errorf(area.CodeExists, "the name %s is taken", e.Device)
	case devices >= maxDevices:
		return area.Errorf(area.CodeRate, "there are %d devices and tokens already", maxDevices)
	}
	return nil
}

// makeRoom forgets codes that have expired, and those that wait for the same
// device: it tells whether there was one.
func (a *Authority) makeRoom(ctx context.Context, e Enrolment) (replaced bool, err error) {
	var void []string
	a.mu.RLock()
	for hash, p := range a.pending {
		good, same := a.now().Before(p.Expires), p.Device == e.Device && p.Tenant == e.Tenant
		if !good || same {
			void = append(void, hash)
		}
		replaced = replaced || good && same
	}
	a.mu.RUnlock()
	for _, hash := range void {
		if err := a.forgetCode(ctx, hash); err != nil {
			return false, err
		}
	}
	a.mu.RLock()
	defer a.mu.RUnlock()
	if len(a.pending) >= maxEnrol {
		return false, area.Errorf(area.CodeRate, "%d codes wait already", maxEnrol)
	}
	return replaced, nil
}

func (a *Authority) forgetCode(ctx context.Context, hash string) error {
	if err := a.store.Delete(ctx, enrolmentKey(hash)); err != nil {
		return err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.pending, hash)
	return nil
}

// Redeem trades a code for the device's credential: once, also when two try at
// the same time. The secret has 160 bits, and only its hash is kept. A
// credential that the device had before is void, and its connections end. The
// error is of code not_found where the code is unknown, used or expired, rate
// where the source was wrong too often, or the table's, degraded where the other nodes
// of the hub cannot be asked; a code is used up just before the credential is durable,
// so after a crash between the two another one is needed. Case, spaces and hyphens of the code do not matter.
func (a *Authority) Redeem(ctx context.Context, source, code string) (Credential, error) {
	source = sourceOf(source)
	if err := a.slowed(source, ""); err != nil {
		return Credential{}, err
	}
	var made Credential
	err := a.change(func() (revoked []Revoked, err error) {
		made, revoked, err = a.redeem(ctx, digest(plainCode(code)))
		return revoked, err
	})
	if area.CodeOf(err) == area.CodeNotFound {
		a.count.wrongCodes.Add(1)
		a.wrong(source, "")
	}
	if err != nil {
		return Credential{}, err
	}
	a.count.redeemed.Add(1)
	return made, nil
}

// Waits answers what a code that waits is for, and leaves it: so that a device
// can be prepared before it trades the code. The error is of code not_found or
// rate, as that of [Authority.Redeem]; a wrong code counts there too. It does not
// block.
func (a *Authority) Waits(source, code string) (Enrolment, error) {
	source = sourceOf(source)
	if err := a.slowed(source, ""); err != nil {
		return Enrolment{}, err
	}
	a.mu.RLock()
	e, ok := a.pending[digest(plainCode(code))]
	a.mu.RUnlock()
	if !ok || !a.now().Before(e.Expires) {
		a.count.wrongCodes.Add(1)
		a.wrong(source, "")
		return Enrolment{}, area.Errorf(area.CodeNotFound, "the code is unknown, used or expired")
	}
	return e.Enrolment, nil
}

func (a *Authority) redeem(ctx context.Context, hash string) (Credential, []Revoked, error) {
	a.mu.RLock()
	e, ok := a.pending[hash]
	old := a.by[string(e.Device)]
	a.mu.RUnlock()
	if !ok || !a.now().Before(e.Expires) || old != nil && (old.configured || old.principal.Kind != KindDevice || old.principal.Tenant != e.Tenant) {
		return Credential{}, nil, area.Errorf(area.CodeNotFound, "the code is unknown, used or expired")
	}
	made := Credential{Device: e.Device, Area: e.Area, Tenant: e.Tenant, Secret: newSecret()}
	kept := storedDevice{V: 1, Device: e.Device, Area: e.Area, Tenant: e.Tenant, Hash: digest(made.Secret), Created: a.now().UTC().Truncate(time.Millisecond), By: e.By, Enrolment: hash,
		Publish: e.Publish, Subscribe: e.Subscribe}
	value, err := json.Marshal(kept)
	if err != nil {
		return Credential{}, nil, err
	}
	code, err := a.useCode(ctx, hash, e)
	if err != nil {
		return Credential{}, nil, err
	}
	if err := a.store.Put(ctx, deviceKey(e.Device), value); err != nil {
		_ = a.store.Put(context.WithoutCancel(ctx), enrolmentKey(hash), code) // it is good again, if the table takes that
		return Credential{}, nil, err
	}
	a.mu.Lock()
	delete(a.pending, hash)
	a.keepDevice(kept)
	a.mu.Unlock()
	if old == nil {
		return made, nil, nil
	}
	return made, []Revoked{{Name: string(e.Device), Tenant: e.Tenant, Reason: "the device was enrolled again"}}, nil
}

// useCode takes a code away, so that nobody else has it: not another node of the hub
// either. It answers the record that it was. The error is of code not_found where
// somebody else was first, or the table's.
func (a *Authority) useCode(ctx context.Context, hash string, e enrolment) (record []byte, err error) {
	if record, err = json.Marshal(e); err != nil {
		return nil, err
	}
	for range 2 {
		found, done, err := a.store.PutIf(ctx, enrolmentKey(hash), record, nil)
		if done || err != nil {
			return record, err
		}
		var is enrolment
		if found == nil || json.Unmarshal(found, &is) != nil || is.Device != e.Device || !is.Expires.Equal(e.Expires) {
			break
		}
		record = found // the same, as another version writes it
	}
	return nil, area.Errorf(area.CodeNotFound, "the code is unknown, used or expired")
}

// keepDevice is called with mu held.
func (a *Authority) keepDevice(d storedDevice) {
	name := string(d.Device)
	r := &record{
		principal: Principal{Name: name, Kind: KindDevice, Tenant: d.Tenant, Area: d.Area, Publish: d.Publish, Subscribe: d.Subscribe},
		secret:    d.Hash, created: d.Created, by: d.By, enrolment: d.Enrolment,
	}
	a.stamp(r)
	if a.by != nil && (a.by[name] == nil || a.by[name] == a.stored[name]) {
		a.by[name] = r
	}
	a.stored[name] = r
}

// Revoke takes the credential of an enrolled device back, and the codes that
// wait for it: its live connections end. The error is of code not_found,
// configured where the configuration defines the device, or the table's. It
// blocks until that is durable.
func (a *Authority) Revoke(ctx context.Context, tenant string, device area.DeviceID) error {
	return a.change(func() ([]Revoked, error) {
		a.mu.RLock()
		r := a.by[string(device)]
		var codes []string
		for hash, e := range a.pending {
			if e.Device == device && e.Tenant == tenantOr(tenant) {
				codes = append(codes, hash)
			}
		}
		a.mu.RUnlock()
		known := r != nil && r.principal.Kind == KindDevice && r.principal.Tenant == tenantOr(tenant)
		switch {
		case known && r.configured:
			return nil, area.Errorf(area.CodeConfigured, "the configuration defines device %s", device)
		case !known && len(codes) == 0:
			return nil, area.Errorf(area.CodeNotFound, "device %s has no credential", device)
		}
		for _, hash := range codes {
			if err := a.forgetCode(ctx, hash); err != nil {
				return nil, err
			}
		}
		if !known {
			return nil, nil
		}
		for _, key := range []string{enrolmentKey(r.enrolment), deviceKey(device)} { // in this order: the device's record says that its code is used
			if err := a.store.Delete(ctx, key); err != nil {
				return nil, err
			}
		}
		a.mu.Lock()
		defer a.mu.Unlock()
		a.drop(r)
		return []Revoked{{Name: string(device), Tenant: r.principal.Tenant, Reason: "the device's credential was revoked"}}, nil
	})
}

// load reads what is stored. What cannot be read grants nothing.
func (a *Authority) load() error {
	used := map[string]bool{}
	err := a.store.Load(func(key string, value []byte) error {
		kind, name, _ := strings.Cut(key, "/")
		if err := a.loadOne(kind, name, value, used); err != nil {
			a.count.badRecords.Add(1)
			a.log.Error("stored credential cannot be read", "device", name, "err", err)
		}
		return nil
	})
	for hash := range used {
		delete(a.pending, hash)
	}
	return err
}

func (a *Authority) loadOne(kind, name string, value []byte, used map[string]bool) error {
	switch kind {
	case "token":
		var t storedToken
		if err := json.Unmarshal(value, &t); err != nil || t.V != 1 || t.Name != name || t.Token.check(time.Time{}) != nil || len(t.Hash) != 64 {
			return fmt.Errorf("not a token of version 1")
		}
		a.keepToken(t)
	case "device":
		var d storedDevice
		if err := json.Unmarshal(value, &d); err != nil || d.V != 1 || string(d.Device) != name || !area.IsID(name) || !area.IsID(d.Tenant) || len(d.Hash) != 64 || checkRules(d.Publish, d.Subscribe) != nil {
			return fmt.Errorf("not a device of version 1")
		}
		used[d.Enrolment] = true
		a.keepDevice(d)
	case "enrolment":
		var e enrolment
		if err := json.Unmarshal(value, &e); err != nil || e.V != 1 || e.check() != nil {
			return fmt.Errorf("not an enrolment of version 1")
		}
		a.pending[name] = e
	default:
		return fmt.Errorf("unknown kind %q", kind)
	}
	return nil
}

// newCode has 140 bits, in seven groups of four.
func newCode() string {
	s := newSecret()[:28]
	var groups []string
	for ; s != ""; s = s[4:] {
		groups = append(groups, s[:4])
	}
	return strings.Join(groups, "-")
}

// plainCode undoes what people do to a code when they copy it: Crockford's
// rules.
func plainCode(code string) string {
	if len(code) > 128 {
		return ""
	}
	return strings.NewReplacer("-", "", " ", "", "O", "0", "I", "1", "L", "1").Replace(strings.ToUpper(code))
}
