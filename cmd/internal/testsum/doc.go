// Testsum reads what "go test -json" prints and shows of it what a person wants
// to see: a line for each package, everything that a failed test said, which
// tests did not run and why, and the counts at the end, as "tests: N passed, N
// failed, N skipped". Tests are counted with their subtests.
//
// A package in which the race detector itself crashed counts by its next run.
//
// It exits with 1 where a test failed, a package could not be built, or nothing
// ran; with -strict also where a test was skipped.
package main
