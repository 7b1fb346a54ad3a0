// Package prooftest has the contract that each [proof.Common] keeps: the one in memory,
// and that of a Redis-compatible server.
package prooftest
