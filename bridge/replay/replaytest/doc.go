// Package replaytest is the contract of logs that number the events of groups for all
// nodes of a hub (signalr.Log), and what a hub of two nodes makes of one.
package replaytest
