// Command tacet-bench measures a hub, and the broker in it beside others. It
// prints figures; what a machine reaches is for its owner to compare.
//
//	tacet-bench handover   how fast areas are handed over, and that no two devices sound at once
//	tacet-bench hub        what the SignalR hub delivers, beside a minimal WebSocket server
//	tacet-bench broker     what the broker carries, beside the library under it and Mosquitto
//	tacet-bench durable    what the durable store takes, beside the library with its bolt hook
//	tacet-bench device     what a device's program takes, how soon it sounds, and what a thousand plays leave behind
//	tacet-bench voice      two voices at once, lost and doubled orders, while hub and devices are killed
//	tacet-bench crash      how soon the next device sounds when who sounds is killed
//	tacet-bench reign      how soon the others go on when the device that leads is killed
//	tacet-bench cluster    two nodes that are one hub, beside the library to the server between them
//	tacet-bench fault      what a hub keeps of its word when it is broken on purpose; exit code 1 if not all
package main
