// Package redistest runs Redis-compatible servers for tests and benchmarks, each a
// process in a directory of its own, on loopback alone: one [Server], a [Cluster] of
// them, or a [Pair] whose replica a sentinel promotes.
//
// Whoever starts one closes it. A process also ends when the test's does.
package redistest
