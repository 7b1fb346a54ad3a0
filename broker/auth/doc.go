// Package auth knows who may do what: principals from the configuration and
// from enrolment, how they show who they are, and their rights.
//
// # Concepts
//
// A [Principal] is somebody who has shown who he is: a user, a device, or a
// program with an API token. An [Authority] makes one out of a password
// ([Authority.Password]), a JWT or an API token ([Authority.Bearer]) or a client
// certificate ([Authority.Certificate]). What it may do in the hub is asked of
// the principal ([Principal.May]); what it may publish and read over MQTT, of
// the [Access] made from it.
//
// With nobody configured the hub is open ([Authority.Open]), and everybody is
// [Anonymous], who may do everything.
//
// Where a principal comes from:
//
//   - The configuration names users and devices. [Authority.Reload] takes a new
//     one, and revokes whom it leaves out or changes.
//   - Enrolment: somebody with the right makes a code ([Authority.Enrol]), which
//     a device trades, once, for a secret of its own ([Authority.Redeem]).
//   - API tokens: [Authority.CreateToken]; of those of a hub the leader of an area
//     knows the hashes, from the roster document ([Config].Tokens, [Config.Admit]).
//   - Issuers of JWTs name their own subjects; no list of them is kept. A subject
//     of role "device" is a device, with the area and the rules that are kept
//     for one of its id, else with the area of its claim "area". A subject that
//     is called like one of ours is refused.
//
// Of codes, secrets and tokens that are made here only a hash is kept: SHA-256,
// since they are beyond guessing. Passwords that people choose are argon2id.
//
// A principal stands ([Authority.Stands]) until it is revoked, changed, or out
// of date; [Authority.Watch] tells of the first two.
//
// # Roles
//
// A role counts in the areas of the principal that has it, "*" being all; each
// includes the ones above it, and every other name grants nothing.
//
//	viewer     reads the state of its areas
//	announcer  makes and cancels orders in its areas
//	operator   stops areas, commands devices, enrols them, keeps schedules and mappings
//	admin      everything of its tenant; its areas do not matter
//
// A device has no role. It reads its own area.
//
// # MQTT
//
// A device publishes on tacet/device/{own}/#, on its own claim and busy/set in
// its own area, and where its publish rules allow; it reads tacet/device/{own}/#,
// its area, and what its subscribe rules allow. A viewer reads everything, or the
// branches of its areas where those are not "*". An announcer also publishes on
// submit and cmd of its areas; an operator of all areas also on cmd, request and group,
// one of some areas on tacet/group/area:{area}, which who reads an area reads, too.
// The topics of the groups user:, role: and tenant: are read by who is that, those
// of alerts by operators, who read everything;
// an admin everywhere. Nobody publishes on what the hub alone writes
// ([area.HubOnly]), nobody publishes on or reads what begins with $ or @, and
// nobody but its device reads the key of an area ([area.Secret]), an admin
// neither.
//
// A device's own rules come first, in their order, and the first that matches
// decides: "plant/#" allows, "!plant/secret/#" denies, also what the device
// would have otherwise. A subscription needs one rule that allows the whole
// filter ([Covers]), with no denial before it that touches any of it
// ([Overlaps]). What no rule speaks of is denied.
//
// # Guessing
//
// After five wrong attempts a source has to wait, at first a second, then twice
// as long each time, up to five minutes; its attempts meanwhile are refused
// unheard. A source is an IPv4 address or an IPv6 network of 64 bits. A name that
// has signed in from there within a day is counted apart, so one device with a
// wrong password does not keep its neighbours out. No name is ever locked out.
//
// # What it does not do
//
// It reads no file and opens no listener: cmd/internal/conf fills the [Config],
// and the certificates come verified. It does not refresh a JWT, follow what a
// token's header says of keys (jku, x5u, jwk, x5c), or know a token that its
// issuer has taken back before it expires. Names are unique over all tenants.
// Two issuers that name the same subject in the same tenant name one principal.
package auth
