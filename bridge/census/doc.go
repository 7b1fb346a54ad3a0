// Package census lists the nodes of a hub: who lives, what each does, and who died.
//
// # Concepts
//
// Every node asks every other one, once in [Config.Every], what it does: the question
// has the asker's own [Report], the answer that of the asked, and the time between
// them is the lag. Who has not been heard for three rounds is silent; whom the
// backplane takes for dead is gone, or has left where it said before that it was
// going. Both are listed for [Config.Keep] more.
//
// What others say of themselves is shown and never acted upon: who lives and who has
// an area is the business of the backplane and of the ledger.
//
// # Bounds
//
// Of nodes that are not alive at most 64 are kept; the one that went first is
// forgotten for another, and counted. A report has at most 1000 areas and 64 KiB.
//
// # Goroutines
//
// [Census.Run] is the only one; a round ends before the next one begins.
package census
