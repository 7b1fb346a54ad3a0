// Package external is the hub's client of outside brokers (Mosquitto, EMQX,
// HiveMQ and others that speak MQTT 5).
//
// # Concepts
//
// [Bus] is an area.Bus over an outside broker, which then stands in for the
// embedded one in everything, arbiter included. What the hub publishes comes back
// to it from the broker, as to every subscriber; a user property says that it was
// ours and by which of our publishers, so the loop guard decides as it does with
// the embedded broker. There is no gate, no event of a connection and no mark of a
// will: who may do what is that broker's business, a submit's PUBACK promises
// nothing, and a device is there from what it says live until its status, which
// may be its will, says that it is not.
//
// What the broker kept in our session while the hub was away for more than a minute,
// or was not running, comes late: a sensor's word among it is a replay, as what is
// retained is. Works and groups are not told apart: nothing of them is lost.
//
// Several nodes of a hub may each have a Bus over one broker: each then hears everything,
// what the others publish too, which has their name in Node. Which of them acts on what is
// the hub's business (see cmd/internal/hubd).
//
// [Bridge] carries chosen topics to another broker and from it. What goes out
// waits while the link is down, within a bound, and on disk when it waits for
// longer than half a second; with QoS 2 each message arrives once, also where the
// broker stalls or the connection breaks. What came from the other side never goes
// back: NoLocal keeps the broker from sending us our own, [area.Passes] keeps us
// from sending it its own. Secrets ([area.Secret]) never leave the hub, and what
// only the hub may write is never taken from outside.
//
// # Goroutines
//
// Run of Bus and Bridge has one that keeps the connection, one that sends, one
// that watches both, and a Bridge two more: one publishes at the hub, one writes the
// disk. They end with Run's context. The library's handlers only enqueue.
//
// # Queues
//
//   - Bus: what waits to be sent, 4,096 messages and 16 MiB; publishers wait for
//     room. What the broker retains and the hub may be asked for: 10,000 topics and
//     32 MiB; more is left out, Stats.Unkept.
//   - Bridge: what waits to be sent, Config.BufferBytes; the oldest that is not on
//     its way is dropped, Stats.Dropped. What came and waits for the hub: 10,000
//     messages; the oldest is dropped, Stats.DroppedIn.
//
// # What it does not do
//
// It sends nothing by MQTT 3.1.1, which cannot tell who published a message, nor
// keep a message from its publisher. A bridge that carries everything inwards takes
// it from a broker that speaks nothing else, as that of The Things Stack; to a Bus,
// or a bridge that sends, such a broker is as one that is away: it is tried again,
// the log says so as an error, and Stats.Old is 1.
package external
