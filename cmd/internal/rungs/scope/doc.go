// Package scope records sound and pins of a machine on one time line, carries
// the recording over a connection while it is made, and measures it: when it
// sounded, at which frequency, and whether a sample is missing.
//
// # What it does not do
//
// It knows no sound card and no pins: who records makes the blocks.
package scope
