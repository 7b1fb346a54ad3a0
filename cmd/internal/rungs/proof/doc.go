// Package proof is the sheet on which a rung of the hardware ladder writes what
// it has proved, a line each, in words that go over a serial line.
//
// # What it does not do
//
// It proves nothing.
package proof
