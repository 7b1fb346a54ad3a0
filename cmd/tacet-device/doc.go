// Command tacet-device is a device: a loudspeaker with relay, lamp and button
// that takes turns with its neighbours.
//
//	tacet-device run --sim --device gate-1 --area north    run a simulated device
//	tacet-device check --sim --device gate-1 --area north  try each part of it
//	tacet-device quiet --config device.yaml                switch amplifier and lamps off, after it was killed
//	tacet-device provision --hub URL --code CODE           trade a code for its credential
//	tacet-device version                                   say which build this is
//
// A configuration file is named by --config or TACET_DEVICE_CONFIG; the
// environment (TACET_DEVICE_ and the key in capitals, such as
// TACET_DEVICE_AUDIO_VOLUME) overrides it, and flags override both. Where the boot
// partition has a tacet.yaml (--boot) that lies over the file. An enrol_code in
// either is traded for the device's credential before anything else. Exit codes: 0
// ok, 1 failed, 2 usage or configuration, of provision also 3 the hub does not
// answer and 4 it refused the code, 75 an operator has asked for another start:
// whoever supervises it starts it again.
//
// Where updates.keys names whose programs are believed, run first looks into the
// update slots of the data directory, and becomes the program that is confirmed or
// on trial there; see package update. check and quiet become the confirmed one,
// which understands the configuration of the day. After an update it becomes the installed
// program again, which looks anew; under a supervisor that hears of its life
// (NOTIFY_SOCKET) it ends with 75 instead, to be started by that.
//
// It leads its area by tacet-leader, a program of the same release, which it starts
// when it is to lead: that which peers.leader_program names, else the one that it
// carries, as it does when it came by an update, else the one beside it, else on the
// path. Without one it follows, and never leads; check says so.
//
// With --sim, --wav FILE records what it sounds, and FILE.jsonl when; each start
// begins both anew. Those of the run before, if it has sounded, are kept as FILE.1
// and FILE.1.jsonl: look there after a crash, before the second start.
//
// It prints "ready device=ID hub=URL" on standard output when the hub has
// answered it; everything else goes to standard error. SIGTERM and SIGINT end
// it: it stops sounding, gives back what it was to do, says goodbye, and exits 0.
package main
