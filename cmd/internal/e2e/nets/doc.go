// Package nets puts one voice to the test on real networks: the built tacet and
// tacet-device, each on a host of its own, while cables are pulled, packets are
// lost and programs are killed or stop for a while.
//
// # Concepts
//
// A lan is an Ethernet of its own: a switch and hosts, each a network namespace.
// What does not arrive is said by rules of nftables on the host that would receive
// it, so that one way can be cut and the other left. A namespace lives as long as
// a process of ours in it: nothing of it outlives the tests, however they end.
//
// A site is a lan with a hub and loudspeakers of one area, which are simulated and
// record what they sound. Each test breaks one thing in it, waits for what has to
// come of that (a line of a recording, the state of an order, what an area says of
// itself), mends it, and judges: no two recordings sound at once, every order has
// its end, none was said whole twice, and the hub's own record says the same.
//
// # Goroutines
//
// One for each process waits for its end; the clean-up of the test waits for it.
//
// # What it needs
//
// Root, and the Debian packages iproute2 and nftables. Who is not root is told
// that these tests did not run.
//
// # What it does not do
//
// It delays and reorders nothing: the kernel has no means that are everywhere, and
// the simulation of package arbiter does. It asserts no times, it logs them;
// tacet-bench prints figures.
package nets
