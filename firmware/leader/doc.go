// Package leader is what lets the devices of an area go on without their hub: who
// of them is alive, which of them leads, and where each of them turns to.
package leader
