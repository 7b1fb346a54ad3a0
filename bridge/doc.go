// Package bridge joins MQTT topics and hub groups, so that both show one area:
// what a sensor publishes reaches the browsers that watch its area, what a
// browser sends to a group reaches the topic of that group, and what becomes of
// areas, devices and orders reaches everybody as deltas.
//
// # Concepts
//
// [Pump] takes every message of the bus: readings, presence and what happened by
// the conventions of sensors and the operator's mappings, into the registry and
// to the watchers; events of mapped groups; the mirror of groups
// on tacet/group/{group}/{event}, where [area.Passes] alone decides whether a
// message goes on; the newest value of each topic, and a sample of them to
// group "topics".
//
// [View] owns the public objects, [area.Area] and [area.Device], each with a
// sequence number that begins at 1 and grows by 1. It makes a new object only
// where one differs from before, and sends the difference. A watcher joins
// between two of them, so that its snapshot and its deltas have no hole and no
// repeat.
//
// [Figures] tells group "metrics" the hub's own numbers every five seconds.
// [Alerts] tells group "alerts" what an operator has to know: who is refused and
// why, who misses messages, what is wrong with the disk or a certificate.
//
// Readings, topics and figures are news of a state: a member that does not keep up
// gets the newest of each and misses what is old. A view ([Pump.StreamTopics],
// [Pump.StreamReadings]) picks its own, and gets at most 20 a second.
//
// Where there are several nodes each pump works on what comes in at its own, and has
// what somebody there wants of the rest ([Others]): what follows from a message is done
// by the node where it came in, and by no other. Readings of other nodes are shown as
// those tell them ([Pump.Show]; of each the newest waits, of 16,384 at most, then the
// newest is dropped: Stats.ShownDropped). Old news goes to the connections of this node
// alone.
//
// Watchers of one area are the group area:{id}. Watchers of all areas are the
// group [All], which no client can name; whatever goes to one area goes there
// too, and what concerns unassigned sensors.
//
// # Goroutines
//
//   - Pump.Run: one handles the inbox (bounded in messages and bytes, drops the
//     oldest, Stats.Dropped), and has what came together written together, one publishes what the hub sent (bounded, drops
//     the oldest, Stats.MirrorDropped; it alone may wait for the broker).
//   - View.Run: one owns the objects. Its mailbox keeps the newest state of each
//     thing, and orders in their sequence (bounded, drops the oldest,
//     ViewStats.OrdersDropped).
//   - Figures.Run and Alerts.Run: one each, with a ticker.
//
// Each ends with its Run's context, and Run returns nil.
//
// # What it does not do
//
// It decides nothing about areas and orders, knows neither SignalR nor MQTT
// (Hub and area.Bus are interfaces), and stores nothing on disk.
package bridge

import "github.com/tacet-hub/tacet/broker/area"

// Groups that the bridge sends to, beside area:{id} and the mapped ones.
const (
	All          = "area:*"  // watchers of every area; no client can join it by name
	GroupTopics  = "topics"  // a sample of all topics
	GroupMetrics = "metrics" // the hub's own figures
	GroupAlerts  = "alerts"  // what an operator has to know
)

// Events that the bridge sends (DESIGN.md §3.6, Hub to client).
const (
	eventArea    = "AreaChanged"
	eventDevice  = "DeviceChanged"
	eventOrder   = "OrderChanged"
	eventReading = "Reading"
	eventMoment  = "DeviceEvent"
	eventTopic   = "Topic"
	eventMetric  = "ReceiveMetric"
	eventAlert   = "ReceiveSystemAlert"
)

// Hub sends events to the members of a group. Send must neither block nor call
// back; what is sent to one group arrives in that order.
type Hub interface {
	Send(group, event string, args ...any)
	// SendLatest is Send for news of a state: a member that is slow may get the
	// newest of a key alone, and not in its place among others.
	SendLatest(group, event, key string, args ...any)
}

// Burst is a Hub that may gather what it is sent until Flush: who relays many
// messages at once has each connection written to once. It belongs to one
// goroutine, which must not wait for anything between Send and Flush.
type Burst interface {
	Hub
	Flush()
}

// stateToWatchers is toWatchers for news of a state.
func stateToWatchers(hub Hub, a area.Name, event, key string, args ...any) {
	hub.SendLatest(string(area.AreaGroup(a)), event, key, args...)
	hub.SendLatest(All, event, key, args...)
}

// toWatchers sends to the watchers of an area, and to those of all areas.
func toWatchers(hub Hub, a area.Name, event string, args ...any) {
	hub.Send(string(area.AreaGroup(a)), event, args...)
	hub.Send(All, event, args...)
}
