// Package release says which build a program is: what it was given ("make build
// VERSION=1.2.3"), else what Go noted of it.
//
// # What it does not do
//
// It knows nothing else of the programs, so that a small one stays small.
package release
