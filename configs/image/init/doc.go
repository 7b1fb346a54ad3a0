// Command init is PID 1 of the card that tacet-image writes: what an operating
// system is elsewhere, for one program.
//
// In order: it mounts the kernel's file systems, finds its card by the signature
// in the partition table, gives the data partition the rest of a larger card,
// mounts /boot (FAT32, read only: the device itself makes it writable for the
// moment in which it takes a traded code out of tacet.yaml) and /data (ext4), sets the clock to no earlier than it can be, brings up each wired
// network by DHCP, waits a little for a time server, since TLS needs the time and
// a Pi has no clock of its own, and starts tacet-device, again and again.
//
// It feeds the machine's watchdog, and is to tacet-device what systemd is
// elsewhere: it listens on NOTIFY_SOCKET, and kills a device that no longer says
// that it lives. So a hung device is started anew, and a hung PID 1 or kernel
// resets the machine. What tacet-device does after starts that fail (safe mode)
// is its own; PID 1 waits longer after each, and restarts the machine when half
// an hour of them has not helped.
//
// Everything it says is a line on the console.
//
// # Goroutines
//
// main starts one for each wired network (network.run), one for the clock
// (clock.run), one that reaps processes (children.run) and one that hears the
// device (notify.run). They live as long as the machine: PID 1 ends by restarting
// it, and by nothing else. The loop in supervise alone feeds the watchdog.
//
// # What it does not do
//
// No Wi-Fi (its firmware is not in the modules that the image is made of), no
// static addresses, no shell, no listener of its own.
package main
