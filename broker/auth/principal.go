package auth

import (
	"slices"
	"strings"
	"time"

	"github.com/tacet-hub/tacet/broker/area"
)

// Kind says how a principal came to be.
type Kind string

// The kinds of principals.
const (
	KindUser      Kind = "user"      // a person: from the configuration, or from an issuer of JWTs
	KindDevice    Kind = "device"    // a device: configured, enrolled, or told by an issuer to be one
	KindToken     Kind = "token"     // a program that holds an API token
	KindAnonymous Kind = "anonymous" // anybody, in open mode
)

// DefaultTenant is the tenant of whoever names none.
const DefaultTenant = "default"

// AllAreas in a list of areas stands for every area of the tenant.
const AllAreas = "*"

// The roles, each with the rights of the one before it. Other names are kept,
// and grant nothing.
const (
	RoleViewer    = "viewer"    // reads
	RoleAnnouncer = "announcer" // and makes, and cancels, orders
	RoleOperator  = "operator"  // and stops areas, commands devices, keeps schedules and devices
	RoleAdmin     = "admin"     // and everything else of its tenant, whatever the areas
)

// RoleDevice in the role claim of a JWT says that its subject is a device.
const RoleDevice = "device"

// Action is what somebody wants to do; a higher one includes the lower ones.
type Action int

// The actions.
const (
	Read     Action = iota + 1 // look
	Announce                   // make sound by way of an order
	Operate                    // run the place
	Admin                      // change who may do what, and what belongs to the whole hub
)

var actionNames = map[Action]string{Read: "read", Announce: "announce", Operate: "operate", Admin: "administer"}

// String is the verb.
func (a Action) String() string { return actionNames[a] }

var rankOf = map[string]Action{RoleViewer: Read, RoleAnnouncer: Announce, RoleOperator: Operate, RoleAdmin: Admin}

// Principal is somebody who has shown who he is. It is a value, and does not
// change with the configuration: see [Authority.Stands].
type Principal struct {
	Name   string // unique in its tenant; a device's is its id
	Kind   Kind
	Tenant string   // never empty
	Roles  []string // of users and tokens
	Areas  []string // where the roles count: ids of areas, or "*"; empty: nowhere

	Area      area.Name // a device's own area; empty: none
	Publish   []string  // MQTT rules of a device beyond its own branch: see [Access]
	Subscribe []string  // the same for reading

	Expires    time.Time         // when its proof runs out; zero: never
	Attributes map[string]string // from the claims that the issuer's Attributes name; may be nil
	Claims     map[string]any    // all claims of a JWT; nil for others

	issuer    string  // of a JWT
	issuerRev uint64  // of the issuer, as it was configured then
	rev       uint64  // of the record that it was made from; 0: none
	access    *Access // that record's, shared by all connections of the principal; nil: made when asked for
}

// Anonymous is who everybody is in open mode.
func Anonymous() Principal {
	return Principal{Name: "anonymous", Kind: KindAnonymous, Tenant: DefaultTenant, Roles: []string{RoleAdmin}, Areas: []string{AllAreas}}
}

// May answers nil where the principal has the right to the action in an area of
// its tenant, else an [area.Error] of code forbidden. The empty area stands for
// what belongs to no area: to read that needs a role, to announce or operate
// there a role for all areas, to administer the role admin. A device may read
// its own area. It does not block.
func (p Principal) May(a Action, in area.Name) error {
	if p.may(a, in) {
		return nil
	}
	if in == "" {
		return area.Errorf(area.CodeForbidden, "%s may not %s here", p.Name, a)
	}
	return area.Errorf(area.CodeForbidden, "%s may not %s in area %s", p.Name, a, in)
}

func (p Principal) may(a Action, in area.Name) bool {
	if p.Kind == KindDevice {
		return a == Read && (in == "" || in == p.Area)
	}
	rank := p.rank()
	switch {
	case rank == Admin:
		return true
	case a > rank:
		return false
	case in == "":
		return a == Read || p.everywhere()
	}
	return p.in(in)
}

// rank is the highest action that the roles include, 0 where they grant none.
func (p Principal) rank() Action {
	rank := Action(0)
	for _, r := range p.Roles {
		rank = max(rank, rankOf[r])
	}
	return rank
}

func (p Principal) everywhere() bool { return p.rank() == Admin || slices.Contains(p.Areas, AllAreas) }

func (p Principal) in(a area.Name) bool {
	return p.everywhere() || slices.Contains(p.Areas, string(a))
}

// Owns tells whether an MQTT client id belongs to the principal: it is its name,
// or begins with its name and a colon. A name with a colon in it owns no client
// id, since another name could own the same.
func (p Principal) Owns(client string) bool {
	if strings.Contains(p.Name, ":") {
		return false
	}
	return OwnerOf(client) == p.Name
}

// OwnerOf is the name of the principal that a client id belongs to.
func OwnerOf(client string) string {
	name, _, _ := strings.Cut(client, ":")
	return name
}
