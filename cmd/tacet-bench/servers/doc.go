// Package servers starts the MQTT brokers that are compared, each as a process
// of its own on the loopback interface, and reads what a process costs.
//
// # Concepts
//
// A [Kind] names a server and its settings. [Start] runs one and returns when it
// has accepted a client; a [Process] can be stopped, killed, and asked for its
// processor time, its memory and what it has written. The brokers that are
// libraries run in a process of the calling program itself, which calls [Serve]
// when it is started with the argument [ServeCommand].
//
// # What it does not do
//
// It installs nothing: Mosquitto is used where it is found ([Mosquitto]), and
// the hub's program is built by the caller ([Build]).
package servers
