// Package brokertest gives tests a real broker over net.Pipe, fit for
// testing/synctest: no sockets, and no time but the bubble's.
//
//	synctest.Test(t, func(t *testing.T) {
//		b := brokertest.New(t)
//		gate := b.Dial(t, "gate-1")
//		gate.Publish("tacet/device/gate-1/tele/temperature", 1, false, "21.5").Wait()
//	})
//
// # Goroutines
//
// New starts the broker, Dial a client of eclipse/paho; both end with the test
// that they were given, so that a bubble can end.
//
// # What it does not do
//
// It does not fake: what the broker refuses, it refuses here. Nor does it
// listen on TCP; a test that wants a socket makes its own broker.Broker.
package brokertest
