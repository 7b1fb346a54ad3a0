// Package devicehub is the hub that devices and dashboards call,
// /hubs/devices: the methods of DESIGN.md §3.3 and §3.6 on areas, the arbiter
// and orders. It is small, so that an area's local leader can serve it too.
//
// # Concepts
//
// A classic connection is a program that knows two calls,
// ReceiveDeviceConnected and BroadcastWorkStatus. The hub speaks the whole
// protocol on its behalf: each registered device has a turn of its own (package
// turn), whose claims go to the arbiter and whose answers come back over the
// bus, exactly as an MQTT device's do. BroadcastWorkStatus(area, true) is a
// claim, and completes when the area is granted; so a program that was written
// for the racy original is safe without a change if it awaits the call. Such a
// grant is a classic hold: it has no lease, and a lost connection does not end
// it.
//
// A device of the full calls (Register, Claim, Renew, Done, TakeWork) follows
// leases itself, by its own clock, as an MQTT device does. The hub numbers what it
// says and says it again until it is answered. A grant gives it a token only: the
// right to sound begins with the first Renew, counted from when that was sent. The
// hub never renews for it, so a lost connection ends in time by itself; the same
// start of the device that comes back within its lease goes on.
//
// # Rights
//
// Parts.Who says on whose behalf a client is connected. Who reads an area may
// watch it, and "*" is all that he may read; who announces there may announce and
// take back; who announces somewhere may send clips; who operates may stop. A device is itself alone, in its own area;
// who operates an area may speak for any device in it, as a program does that
// serves several. General groups are for all of a tenant who may read, and to
// send to them takes a device or the right to announce somewhere; area:{id} goes
// by the right to the area, user:, role: and tenant: are for those who are it, and
// to send to them takes an operator. "topics" has every topic, so it takes the
// right to read all areas; "alerts" tells operators who was refused and what does
// not work, so it takes one of all areas. A tenant's groups are apart from the groups of those
// names of other tenants. Areas, orders and topics are those of the tenant
// "default" as yet: for others there are none.
//
// # Coming back
//
// JoinGroup with a position, or with "resume", sends what the group had since,
// before it answers; where some of that is gone the answer says so. What the hub
// itself tells of areas, devices, orders and readings is not kept: JoinArea has a
// snapshot. Where somebody left is remembered for users and registered devices;
// one whose connection was lost is sent some events again rather than too few.
//
// With [Parts].Absences the hub does so by itself. What a connection of a user or a
// registered device leaves that ended without a goodbye (it was cut, fell silent, its node
// went down or died, not: its client closed it, or an operator) is kept for a day, and goes
// to one connection of the same user or device, the next to come back, once: it is a
// member of those groups again, but for areas and those that it may not hear any more,
// and is sent what they had meanwhile. A device takes over when it registers, a user when
// he connects; one who came back before his node noticed that he was gone, then. It is left to the
// client for two seconds to join them itself, as it did before the hub could: what it does
// then is as if the hub did nothing. Later it finds that it is in them; "resume", or the position that it
// counted, then sends nothing again, and it is answered whether something was missing. One that has not asked is told of a gap by
// PositionChanged. What a killed node had is known by the others: where its connections
// stood is taken from when it was heard.
//
// A user's own group takes no asking: who comes back, and is nowhere else, is sent what his
// group had since he left, before his first call; a further client of one who is there
// begins with what comes. Where some of it is gone he is told by PositionChanged. So what
// is sent to a user (Send) reaches him within a day, once; who was on a node that was killed
// is sent up to ten seconds of it again.
//
// Over several nodes positions are the same everywhere, but for what a node sends while
// it has lost the others' server: then it counts alone, and nobody else knows of it. Its
// members are told by PositionChanged, in its place between the events, and once more
// when that is over; who counts takes the position from it.
//
// # Goroutines
//
//   - Run's goroutine owns every device. Hub calls reach it over a
//     bounded queue and wait for room in it (back-pressure on that connection
//     alone); messages of the bus over a second bounded queue, whose overflow is
//     dropped and counted, since everything on it is said again. It ends with
//     Run's context.
//   - another one notes where the users who are here stand in their groups, and a third
//     hands over what was found to be left when its owner was back already: four more bring connections into the groups that they have taken over. All end with
//     Run's context. What waits for it is bounded like the calls; more is counted, and
//     taken over by who comes next.
//
// # What it does not do
//
// It decides nothing: who holds an area is the arbiter's, what an order is the
// order service's, what watchers see the view's.
package devicehub
