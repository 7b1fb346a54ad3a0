// Command tacet is the hub and its operator's tool.
//
//	tacet serve    run a hub
//	tacet demo     run a hub with a simulated site, to look at
//	tacet say      announce something
//
// and more: tacet help. Exit codes: 0 ok, 1 failed, 2 usage, 3 unreachable, 4
// refused.
package main
