// Package backplanetest is the contract of backplane.Plane as a test: every
// implementation passes it.
package backplanetest
