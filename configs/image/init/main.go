package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"regexp"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Where things are on the card.
const (
	bootDir    = "/boot"
	dataDir    = "/data"
	runtimeDir = "/run/tacet" // in memory: the log of a run that crashed is read by the next one
	program    = "/bin/tacet-device"
	config     = bootDir + "/tacet.yaml"
)

// clockWait is how long the device's first start waits for a time server, where
// it needs the time at once, for TLS.
const clockWait = 10 * time.Second

func main() {
	if os.Getpid() != 1 {
		fmt.Fprintln(os.Stderr, "init: it is PID 1 of a card that tacet-image wrote, and nothing else")
		os.Exit(2)
	}
	defer restart() // also after a panic, whose text is on the console by then
	run()
}

// say writes a line on the console.
func say(format string, args ...any) { fmt.Printf("init: "+format+"\n", args...) }

// run is the life of the machine.
func run() {
	began := time.Now()
	mountKernel()
	options := parseOptions(readText("/proc/cmdline"))
	disk, err := findCard(time.Now().Add(cardWait))
	if err == nil {
		err = mountBoot(disk)
	}
	if err != nil {
		say("the boot partition cannot be mounted: %v; the device has no configuration", err)
	}
	if err := mountData(disk); err != nil {
		say("the data partition cannot be mounted: %v; what the device keeps now is lost when the power goes", err)
	}
	if err := os.Mkdir(runtimeDir, 0o700); err != nil {
		say("%v", err)
	}
	clock := newClock(dataDir, options.ntp)
	clock.floor()
	dog := openWatchdog()

	ctx, stop := signal.NotifyContext(context.Background(), unix.SIGINT, unix.SIGTERM, unix.SIGUSR1, unix.SIGUSR2)
	defer stop()
	catchKeys()
	kids := newChildren()
	go kids.run()
	net := network{clock: clock}
	go net.run(ctx)
	go clock.run(ctx)
	if needsTime(readText(config)) {
		clock.wait(ctx, clockWait, dog.feed)
	}
	say("%.1f s after its start the clock says %s (%s)", time.Since(began).Seconds(), time.Now().UTC().Format(time.RFC3339), clock.state())
	supervise(ctx, kids, dog, options)
	clock.save()
}

// options are what the kernel's command line tells us.
type options struct {
	sim bool     // tacet.sim: the device simulates its hardware
	ntp []string // tacet.ntp=HOST,HOST: time servers
}

func parseOptions(line string) options {
	var o options
	for _, word := range strings.Fields(line) {
		key, value, _ := strings.Cut(word, "=")
		switch key {
		case "tacet.sim":
			o.sim = value != "0"
		case "tacet.ntp":
			o.ntp = strings.FieldsFunc(value, func(r rune) bool { return r == ',' })
		}
	}
	return o
}

var tlsHub = regexp.MustCompile(`(?m)^[^#\n]*(mqtts|wss|https)://`)

// needsTime tells whether a configuration has a hub that is known by its
// certificate, which is good from a time to a time.
func needsTime(config string) bool { return tlsHub.MatchString(config) }

func readText(path string) string {
	b, err := os.ReadFile(path)
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(b))
}

// catchKeys makes Ctrl-Alt-Del a SIGINT for us, so that the machine goes down in
// order.
func catchKeys() {
	if err := unix.Reboot(unix.LINUX_REBOOT_CMD_CAD_OFF); err != nil {
		say("Ctrl-Alt-Del is the kernel's: %v", err)
	}
}

// restart puts everything on the disk and starts the machine anew. It does not
// return.
func restart() {
	say("the machine restarts")
	unix.Sync()
	for _, dir := range []string{dataDir, bootDir} {
		if err := unix.Unmount(dir, 0); err != nil {
			_ = unix.Mount("", dir, "", unix.MS_REMOUNT|unix.MS_RDONLY, "")
		}
	}
	if err := unix.Reboot(unix.LINUX_REBOOT_CMD_RESTART); err != nil {
		say("it does not: %v", err)
	}
	select {} // the watchdog is not fed any more
}
