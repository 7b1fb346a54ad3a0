// Package firmware is the agent of a device: it takes works that the hub holds
// out, makes them into sound, asks for the area, and plays while it has the
// right to, idle, waiting, playing, done, one work at a time.
//
// # Concepts
//
// The protocol is package turn's; the agent drives it with what comes from the
// hub and from the clock, and does what it says. A work goes through the agent
// like this: an offer is taken after a moment that grows with what is waiting
// here already, so that an idle neighbour is faster; once it is assigned its clip
// is fetched and it is rendered, so that its length is known; then the area is
// asked for; when it is granted the sound is written to the [Player] in chunks of
// 20 ms. What is not rendered yet keeps nothing else from being played, unless it
// is an emergency; every second the device says that it still means to do it, and
// so learns when it is taken back. A clip that cannot be had gives the work back
// with the reason, clip_missing or clip_hash; where the work has a text too the
// device waits 3 s for the clip and then speaks itself.
//
// The writer is the fence. Before every chunk it reads the deadline and the
// clock, which counts while the machine is suspended, and never has more than
// 50 ms of sound ahead: a process that was stopped for a minute in the middle of
// a play is silent when it goes on.
//
// [Memory] is what a device keeps on its disk: how often it was started, which
// machine it is, and the last 256 works that it played to the end. A work that
// is offered again after that is answered, and not played.
//
// The area is what the hub makes of the text that the operator wrote. A device
// that knows its area by a name cannot tell its id; it claims where that name
// would lead, is refused, told where it is, and moves there while it is silent.
//
// A mute silences the next chunk of sound and whatever comes after it, but no
// emergency; the turn goes on, and the status tells of the mute. The status light
// shows one of [Lights]; what somebody else has to say is shown by [Agent.Alert].
//
// A run looks after itself. The watchdog is fed while the owner and the writer
// make progress ([Pulse]); what hangs is noted before it bites. [Memory.Begin]
// tells a start how it came about and, after five that failed, that it should be
// in safe mode: connected, silent, answering for its log ([Ring]) and to commands.
// A panic in a goroutine of the agent switches the hardware off at once. The status
// tells how the device is, when that changes. [Calendar] is the wall clock of a
// machine that has none when it starts.
//
// The hardware is behind [Player], [Beacon] and [Clock], whose methods have
// types of the standard library alone, so that a driver fits without knowing
// this package.
//
// # Goroutines
//
// [Agent.Run] is the owner of all state. It starts the uplink, two renderers, four
// fetchers of clips, one guard that feeds the watchdog, and one writer per play; it
// ends them and waits for them before it returns. Subscriptions, the connection and
// the button only enqueue.
//
// # Queues
//
// What comes from the hub waits in a queue of 256; more is dropped and counted,
// since everything that matters is said again. Works that are assigned and wait
// for their turn: [Config.Queue], emergencies twice as many; an offer beyond
// that is not taken and counted.
//
// # What it does not do
//
// It elects no leader and reads no sensors. It plays nothing by the wall clock. It
// tells of updates of its own program and ends for them; package update takes them.
package firmware
