// Command tacet-view serves the dashboard and the hub's read side apart from the nodes
// of a hub, which it finds by their Redis-compatible server:
//
//	tacet-view --redis redis://127.0.0.1:6379 --http 127.0.0.1:8085
//
// It has no broker and no arbiter, keeps nothing, and may come and go. Exit codes: 0 ok,
// 1 failed, 2 usage.
package main
