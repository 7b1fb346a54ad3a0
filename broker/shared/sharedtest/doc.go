// Package sharedtest is the contract of shared tables: alone, and over each kind of
// common copy.
package sharedtest
