// Package cases holds what a hostile or careless client may do to an MQTT
// broker, one case for each thing, and runs them against ours and against the
// bare library that ours is built on. It has no code but tests.
//
// # Concepts
//
// A case is a function that is given a [site]: a broker that has just started,
// a pair of ordinary clients who talk to each other beside it, and the means to
// open more connections. It ends with what it saw amiss, if anything. The pair
// must still be served when it is over.
//
// A case names the rows that it shows: "2.4" is row 4 of BROKER.md §2, "3.6"
// row 6 of its §3, "5.…" an addition of its §5, "CVE-…" an incident of another
// broker. A row without a case has a reason in rows_test.go, and a test holds
// that there is one or the other.
//
// Ours must pass every case: over net.Pipe in a bubble of testing/synctest,
// where a day costs no time, and over sockets; those of the group connection
// also in a process that may open 256 descriptors. The bare library must fail
// where a row says that it does, so that each case is known to be able to fail.
// The exceptions, chiefly races that it seldom loses, stand in the table with
// their reason.
//
// A Mosquitto can be held against the table as well:
//
//	go test ./broker/brokertest/cases -run TestMosquitto -v -args -mosquitto /usr/sbin/mosquitto
//
// # What it does not do
//
// It asserts nothing about speed or memory: cmd/tacet-bench prints those. The
// process killed, the disk full or broken are its commands too.
package cases
