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
// submit of its areas; an operator of all areas also on cmd, request and group;
// an admin everywhere. Nobody publishes on what the hub alone writes
// ([area.HubOnly]), and nobody publishes on or reads what begins with $ or @.
//
// # What it does not do
//
// It reads no file and opens no listener: cmd/internal/conf fills the [Config],
// and the certificates come verified. It does not refresh a JWT, follow what a
// token's header says of keys (jku, x5u, jwk, x5c), or lock a name out: it slows
// the source of wrong passwords.
package auth
