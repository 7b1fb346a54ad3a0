// Package counted gives the counters of a part's Stats the names under which they
// are told to others: those of the hub's metrics, and of a device's status.
package counted
