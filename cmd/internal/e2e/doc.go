// Package e2e tests the whole of Tacet from outside, with the programs that its
// users have: Mosquitto's clients, the npm package @microsoft/signalr, a
// browser, and the built tacet and tacet-device.
//
// # Concepts
//
// Each test is one story and has a hub of its own, in this process or as a
// built program, on ports that the system picks and in a directory of its own;
// so tests run side by side. A test waits for what is told (an event of the hub,
// a line of a program), never for a time to pass, and gives up late.
//
// What a program or a connection tells is kept in a journal, in order, so that a
// test may ask for it after it came.
//
// # What it needs
//
// Node with the packages of package-lock.json (npm ci in this directory), and
// the Debian packages mosquitto-clients, chromium and nodejs. A test whose tool
// is missing fails and names the package.
//
// # What it does not do
//
// It asserts no figure that depends on the machine; cmd/tacet-bench prints
// those.
package e2e
