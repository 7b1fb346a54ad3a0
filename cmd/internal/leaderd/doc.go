// Package leaderd assembles what a device leads its area with: package host, the
// small device hub of its web listener, and the lengths of orders. cmd/tacet-leader
// runs it as a program of its own, beside the device; programs that have devices in
// them, and tests, take it in the same process ([Inside]).
//
// # Goroutines
//
// Those of host.Host, with what serves the web listener of a reign.
//
// # What it does not do
//
// It has no configuration: the device says what is to be led ([office.Setup]).
package leaderd
