// Package relaytest is the contract of brokers that are joined by relays, over
// whichever wire: what clients of several nodes see of each other.
package relaytest
