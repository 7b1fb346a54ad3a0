// Command tacet-bench measures a hub. It prints figures and asserts nothing:
// what a machine reaches is for its owner to compare.
//
//	tacet-bench handover   how fast areas are handed over, and that no two devices sound at once
//	tacet-bench hub        what the SignalR hub delivers, beside a minimal WebSocket server
package main
