// Package watchdog feeds what restarts a machine or a program that hangs: the
// watchdog of the machine (/dev/watchdog) and that of systemd.
//
// # Concepts
//
// A [Device] is a watchdog of the kernel. From the moment at which it is opened
// it must be fed more often than its [Device.Timeout], else the machine is
// reset. [Device.Close] is the magic close, which stops it; a program that dies
// without it leaves it running, so that the machine is reset unless the next
// start of the program feeds it in time.
//
// A [Notifier] speaks to systemd (sd_notify(3)): that the program is ready, what
// it does, that it lives. A service with WatchdogSec= that does not say the last
// in time is killed and started again.
//
// Who feeds decides when: the driver feeds nothing by itself.
//
// # What it does not do
//
// No goroutine, no judgement of whether the program makes progress; no
// pretimeout.
package watchdog
