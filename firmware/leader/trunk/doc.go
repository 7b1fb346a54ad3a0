// Package trunk is the connection over which a device speaks with the hub on
// behalf of its area: as the area's local leader, to ask whether somebody else is
// that, or to hand in what it did while it was.
//
// # Concepts
//
// A [Link] is a second MQTT connection beside the device's own, which may be to
// the leader of the area and not to the hub. Its client id is the device's with
// ":trunk" behind it, its credential the device's. It stands while somebody wants
// it ([Link.Want]), and for [Config.Linger] longer; where it leads is said by
// [Link.Aim], which may be through a neighbour.
//
// What is said over it ([area.Trunk]) is QoS 1 on a clean session, and may be
// lost with the connection: whoever must be heard says it again until he is
// answered. Each process start has a life of its own, which stands in every
// message.
//
// # Goroutines
//
// [Link.Run] owns the connection and ends it. Watchers are called on a goroutine
// of the MQTT library and must only enqueue.
//
// # Queues
//
// What is to be sent waits in the queue of package uplink; what finds it full, or
// no connection, is refused and counted.
package trunk
