// Package election decides, for one member of an area, whom its devices turn to:
// the hub, the hub through a neighbour, or a leader of their own, and whether this
// member is that leader. It is pure: no I/O, no clock, no goroutine.
//
// # Concepts
//
// An [Election] is told what its member sees ([Event]) and answers what is to be
// done ([Action]); [Election.Self] is what the member has to tell the others. A
// part is the members that see each other. All members of a part see the same and
// come to the same end without a vote.
//
// In an area of topology direct everybody turns to the hub. Who has lost it turns
// to it through a member of his part that has not; only where nobody has an uplink
// one of them leads, and stops as soon as somebody has one again
// (COORDINATION.md §8.2). In an area of topology local somebody always leads, and
// stays when the hub comes and goes; a part that has lost its leader asks the hub,
// where it can, whether he is alive elsewhere, and if he is goes to him through the
// hub (§8.9).
//
// Who leads is the one who does already, else the first of those with an uplink, by
// priority and then by name, once that has been so for [Window]. Where two lead in
// one part the lower term stops at once.
//
// # What it does not do
//
// It finds nobody and reaches nobody, and does not know what leading is. Terms it
// only compares; the arbiter chooses them.
package election
