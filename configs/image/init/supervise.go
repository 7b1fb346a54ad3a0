package main

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// Times of the supervision.
const (
	tick      = 2 * time.Second // the watchdog is fed so often
	aliveTime = 60 * time.Second
	stopTime  = 10 * time.Second // that a device has to end when it is told to

	firstPause = time.Second      // after an end
	mostPause  = 30 * time.Second // it doubles to this
	goodRun    = time.Minute      // after a run so long it is the first again
	badTime    = 30 * time.Minute // of no good run, after which the machine restarts
)

// patience decides what follows an end of the device: pure.
type patience struct {
	pause time.Duration
	bad   time.Duration // how long there has been no good run
}

// after answers how long to wait after a run that took so long; ok is false when
// starting it again has not helped for too long.
func (p patience) after(ran time.Duration) (next patience, wait time.Duration, ok bool) {
	if ran >= goodRun {
		p = patience{}
	}
	wait = min(max(2*p.pause, firstPause), mostPause)
	next = patience{pause: wait, bad: p.bad + ran + wait}
	return next, wait, next.bad < badTime
}

// supervise keeps the device running until ctx ends, or until starting it again
// does not help any more.
func supervise(ctx context.Context, kids *children, dog *watchdog, o options) {
	hear, err := newNotify(notifyPath)
	if err != nil {
		say("the device cannot be heard: %v", err)
	} else {
		go hear.run()
	}
	var p patience
	for {
		began := time.Now()
		life(ctx, kids, dog, hear, o)
		hush(kids, dog, o)
		if ctx.Err() != nil {
			return
		}
		next, wait, ok := p.after(time.Since(began))
		if !ok {
			say("the device has not run for a minute in half an hour")
			return
		}
		p = next
		say("the device is started again in %v", wait)
		pause(ctx, dog, wait)
	}
}

// pause waits, and feeds the watchdog.
func pause(ctx context.Context, dog *watchdog, d time.Duration) {
	end := time.After(d)
	t := time.NewTicker(tick)
	defer t.Stop()
	for {
		dog.feed()
		select {
		case <-end:
			return
		case <-ctx.Done():
			return
		case <-t.C:
		}
	}
}

// arguments are those of a command of the device.
func arguments(command string, o options) []string {
	args := []string{program, command, "--config", config, "--data", dataDir}
	if o.sim {
		args = append(args, "--sim")
	}
	return args
}

// hush switches the amplifier off, however the device ended.
func hush(kids *children, dog *watchdog, o options) {
	p, ended, err := kids.start(program, arguments("quiet", o), environment(nil))
	if err != nil {
		say("the amplifier cannot be switched off: %v", err)
		return
	}
	most := time.After(stopTime)
	for {
		dog.feed()
		select {
		case status := <-ended:
			if status.ExitStatus() != 0 {
				say("switching the amplifier off: %s", describe(status))
			}
			return
		case <-time.After(tick):
		case <-most:
			_ = p.Kill()
		}
	}
}

// life is one run of the device.
func life(ctx context.Context, kids *children, dog *watchdog, hear *notify, o options) {
	device, ended, err := kids.start(program, arguments("run", o), environment(hear))
	if err != nil {
		say("the device cannot be started: %v", err)
		return
	}
	say("the device is process %d", device.Pid)
	var said <-chan message
	if hear != nil {
		said = hear.said
	}
	t := time.NewTicker(tick)
	defer t.Stop()
	var (
		alive time.Time // when it last said so; zero: it never did
		stop  = ctx.Done()
		kill  <-chan time.Time
	)
	for {
		dog.feed()
		select {
		case status := <-ended:
			say("the device has ended: %s", describe(status))
			return
		case m := <-said:
			if m.ready || m.alive {
				alive = time.Now()
			}
			if m.status != "" {
				say("the device says: %s", m.status)
			}
		case <-t.C:
			if !alive.IsZero() && time.Since(alive) > aliveTime {
				say("the device has said nothing for %v", aliveTime)
				alive = time.Time{}
				_ = device.Signal(unix.SIGABRT) // its goroutines are on the console then
				kill = time.After(stopTime)
			}
		case <-stop:
			stop = nil
			_ = device.Signal(unix.SIGTERM)
			kill = time.After(stopTime)
		case <-kill:
			_ = device.Kill()
		}
	}
}

func environment(hear *notify) []string {
	env := []string{"PATH=/bin", "HOME=" + dataDir, "TMPDIR=/tmp", "TZ=UTC", "RUNTIME_DIRECTORY=" + runtimeDir, "ZONEINFO=/etc/zoneinfo.zip"}
	if hear != nil {
		env = append(env, "NOTIFY_SOCKET="+notifyPath, "WATCHDOG_USEC="+strconv.FormatInt(aliveTime.Microseconds(), 10))
	}
	return env
}

func describe(s unix.WaitStatus) string {
	if s.Signaled() {
		return fmt.Sprintf("killed by %v", s.Signal())
	}
	return fmt.Sprintf("exit code %d", s.ExitStatus())
}
