// Package interest knows sets of MQTT topic filters: which topics somebody wants.
//
// # Concepts
//
// A [Tree] is a set of filters that is asked for each message. A shared subscription
// is the filter that it shares, behind "$share/{group}/".
//
// # What it does not do
//
// It checks no filter: see area.ValidFilter.
package interest
