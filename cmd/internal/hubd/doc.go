// Package hubd assembles the hub: it makes every part, hands each what it needs,
// starts them in order and stops them in order.
//
// # Concepts
//
// [New] builds and binds nothing; [Hub.Run] opens the store, binds the
// listeners, writes ready.json and serves until its context ends. Then the hub
// drains: first what takes new work in (web, hub connections, which are told
// that they may reconnect, scheduler), then what does it (orders, bridge), then
// the arbiter with its last records, then the broker, then the store.
//
// Who asks over HTTP is found out here (identity.go): by a bearer token, at the
// hub also by access_token, or by the cookie of a session (signin.go), with which
// only pages of this hub may change something, or, to read alone, by the certificate
// with which a device comes over MQTT. People sign in at /auth/login with
// name and password. Unless the hub is open nothing is anonymous but /healthz,
// the page itself, the sign-in, the trade of an enrolment code, /install.sh, which
// tells the architectures, versions and SHA-256 of the programs for devices, and
// the upgrade to MQTT over WebSocket, whose CONNECT is checked by the broker. A hub
// connection ends with its token, and at once when its rights are withdrawn. The admin
// listener (metrics, pprof, /readyz for probes) has no sign-in: it is for this
// machine.
//
// Clips (clips.go) are given out at /clips/ by their hash; the dispatcher gets an
// order once its text is spoken (speech.go).
//
// Certificates (certs.go) are read again on SIGHUP and when their files change;
// each handshake takes what is current, and a file that cannot be used leaves the
// old one in place. What the broker's doors refuse and drop, and what is wrong
// with the disk or a certificate, becomes an alert for operators (alerts.go);
// so does a device that says it has crashed, is in safe mode or has a fault
// (ailments.go).
// Connections of the web listener that have not sent a whole request are bounded
// as the broker bounds its half-open ones (newcomers.go).
//
// A machine becomes a device of the hub by /install.sh, which has the hub's address,
// the programs on its shelf and the service in it (install.go). Under systemd the
// hub says that it lives by what goes through it (watchdog.go).
//
// With mqtt.external an outside broker stands in for the embedded one (outside.go):
// there are no gates, no doors to watch and no events of connections; submits are
// taken from a queue, and whoever may publish a request there asks as an operator.
// Several nodes may have one outside broker (nodes_outside.go).
// mqtt.bridges carries topics to and from other brokers. While one of these is away
// the hub is "degraded", and goes on.
//
// # Goroutines
//
// Run starts one for each part and for each listener, and waits for all of them.
//
// # What it does not do
//
// It decides nothing. Nothing of the domain lives here; what looks like it is an
// adapter of five lines between two packages that do not know each other.
package hubd
