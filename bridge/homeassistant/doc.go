// Package homeassistant shows areas and players to Home Assistant by its MQTT
// discovery, and does what comes back.
//
// # Concepts
//
// Each player and each area is one device there. Its discovery document is on
// PREFIX/device/{object}/config, retained; it names plain state topics below
// tacet/ha/, which the hub alone writes, and command topics, which are
// tacet/device/{device}/cmd/{name} and tacet/area/{area}/cmd/{name}:
//
//	announce  a text, spoken there
//	chime     {"state":"ON","tone":"gong","duration":10,"volume_level":0.5}, or OFF, as a siren of Home Assistant says it
//	volume    0 to 100; the device itself takes it
//	stop      ends what sounds and waits there
//	test      a tone
//
// What there should be on all these topics is a pure function of the site
// ([documents]); the service publishes what differs from what is there. So a device
// that is gone leaves nothing behind, also where it went while the hub was down.
// When Home Assistant says on PREFIX/status that it is online everything is
// published again, spread over three seconds.
//
// # Rights
//
// A command is done on behalf of who published it: to announce takes the right to
// announce in the area, to stop that to operate it.
//
// # Goroutines
//
// Service.Run has one that publishes, and one that does commands, of which 256 may
// wait; one more is dropped and counted (Stats.Dropped).
//
// # What it does not do
//
// It shows no sensors, which show themselves, and reads no discovery: package
// mapping does.
package homeassistant
