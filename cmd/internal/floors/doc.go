// Package floors keeps the layout of the repository: which package may import
// which, which dependency is confined where, that every package says what it is
// for, and a few rules of style that a program can check. DESIGN.md §2 and
// STYLE.md have the rules in words; this package has them as tables.
//
// [Check] reads the source as text and reports each breach with its place. The
// package's test runs it over the repository.
//
// # What it does not do
//
// It does not resolve types: a log call is known by its shape.
package floors
