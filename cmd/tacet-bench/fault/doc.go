// Package fault breaks a running server on purpose and looks whether it has kept
// its word: nothing that was acknowledged is lost, nothing that was cleared
// comes back, nothing comes that was never sent, nothing with QoS 2 comes twice.
//
// # Concepts
//
// A ledger notes each intent before it is sent and each acknowledgement after it
// has come: values for what has a state (retained topics, subscriptions), stream
// for what is delivered in order (queues). After the fault every key must show
// its last acknowledged operation or a later intended one, and every stream each
// message that was acknowledged. What does not is a [Verdict].
//
// A rig puts load on a server and takes the ledgers; a [Program] is one kind of
// fault, run on a rig. Each gives [Figure]s, of which those that are promises
// have the most that they may be. The programs know MQTT alone, so that any
// broker can stand beside the hub.
//
// # Goroutines
//
// A load is one goroutine for each client, ended and awaited by the program that
// started it.
//
// # What it does not do
//
// It has no way into the server: no failpoint, no clock. A power cut is the
// image of a file system, copied while the server is stopped in mid-work, so a
// write that was under way is in the image either wholly or as far as the kernel
// had come, and never reordered as a disk's cache may do.
package fault
