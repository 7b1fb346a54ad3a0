// Package window shows what happens at a node of a hub to those who are connected to
// another one that has neither a broker nor arbiters of its own.
//
// # Concepts
//
// What a node knows by itself, such as the changes of its areas, it tells its own
// connections alone: every other node of its kind knows it too. A node that serves only
// the web does not. It has a [Window], which asks one node of the hub to be shown that;
// the [Source] of that node sends each event over the backplane for as long as it is
// asked, again every second.
//
// A window is lost when its source is gone, silent, or an event did not arrive: then
// [Config.Lost] has to have everybody begin anew, with a snapshot.
//
// # Queues
//
// There is none of its own: events wait in the backplane's, which refuses the newest and
// tells the window of the gap. While nobody watches, an event costs a load of a number.
//
// # Goroutines
//
// [Window.Run] is the only one.
package window
