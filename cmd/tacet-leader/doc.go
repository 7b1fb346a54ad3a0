// Command tacet-leader is what a device leads its area with: the broker and the
// arbiter that the others of the area come to while they have no hub, or that they
// always come to, where the area's topology is local.
//
//	tacet-leader version    say which build this is
//
// Nobody starts it but tacet-device, which finds it beside itself, and which has to be
// of the same release: "tacet-leader lead" speaks with the device over standard input
// and output, and logs to standard error what the device takes into its own log. It
// has no configuration. It runs while the device leads, and while the hub is yet to be
// told of that; it ends when the device tells it to, or is gone. SIGINT and SIGTERM
// are for the device, which then ends it in order; SIGKILL is taken as its death, and
// others of the area lead.
//
// Exit codes: 0 ok, 1 failed, 2 usage, 3 the device gave no leave to go on, or is
// gone.
package main
