// Package programs builds what end-to-end tests start: the programs of cmd, once
// for all tests of a binary, side by side in one directory, since they look for
// each other there.
//
// # Concepts
//
// Whoever asks for a program has all of them built, or a version of one. Who has
// asked calls [Remove] when its tests are over. A program of somebody else's is
// found by [Tool].
//
// # What it does not do
//
// It starts nothing.
package programs
