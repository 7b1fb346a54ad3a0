package main

import (
	"context"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/beevik/ntp"
	"golang.org/x/sys/unix"
)

// Times of the clock.
const (
	askFirst  = 2 * time.Second  // between two tries to learn the time
	askAgain  = 10 * time.Minute // when it is known
	askTime   = 2 * time.Second  // that a server has
	saveEvery = 6 * time.Hour    // four small writes a day
	slewMost  = 100 * time.Millisecond
)

// builtBefore is a time that is over, for builds that do not tell theirs.
var builtBefore = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// clock keeps the machine's. Its methods are safe for concurrent use.
type clock struct {
	file   string              // where the time is kept over a power cut
	adjust func(time.Duration) // moves the machine's clock
	known  chan struct{}

	mu      sync.Mutex
	servers []string
	synced  bool
}

func newClock(dir string, servers []string) *clock {
	return &clock{file: filepath.Join(dir, "clock"), servers: servers, adjust: adjust, known: make(chan struct{})}
}

// floor sets the clock to the latest time that is surely over: that of the build
// and the one that was kept.
func (c *clock) floor() {
	if least := c.least(); time.Now().Before(least) {
		setTime(least)
	}
}

func (c *clock) least() time.Time {
	least := builtBefore
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, s := range info.Settings {
			if at, err := time.Parse(time.RFC3339, s.Value); s.Key == "vcs.time" && err == nil && at.After(least) {
				least = at
			}
		}
	}
	if s, err := strconv.ParseInt(readText(c.file), 10, 64); err == nil && time.Unix(s, 0).After(least) {
		least = time.Unix(s, 0)
	}
	return least
}

// ask adds servers that a network told.
func (c *clock) ask(servers []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, s := range servers {
		if !slices.Contains(c.servers, s) {
			c.servers = slices.Insert(c.servers, 0, s)
		}
	}
}

// run asks the servers for the time until ctx ends.
func (c *clock) run(ctx context.Context) {
	var saved time.Time
	for ctx.Err() == nil {
		wait := askFirst
		if c.once() {
			wait = askAgain
			if time.Since(saved) > saveEvery {
				c.save()
				saved = time.Now()
			}
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
		}
	}
}

// once asks one server after the other, until one answers.
func (c *clock) once() bool {
	c.mu.Lock()
	servers := slices.Clone(c.servers)
	c.mu.Unlock()
	for _, s := range servers {
		r, err := ntp.QueryWithOptions(s, ntp.QueryOptions{Timeout: askTime})
		if err != nil || r.Validate() != nil {
			continue
		}
		c.adjust(r.ClockOffset)
		c.mu.Lock()
		first := !c.synced
		c.synced = true
		c.mu.Unlock()
		if first {
			say("the time is that of %s, %+.3f s", s, r.ClockOffset.Seconds())
			close(c.known)
		}
		return true
	}
	return false
}

// wait waits until the time is known, at most so long, and feeds the watchdog.
func (c *clock) wait(ctx context.Context, most time.Duration, feed func()) {
	end := time.After(most)
	t := time.NewTicker(tick)
	defer t.Stop()
	for {
		feed()
		select {
		case <-c.known:
			return
		case <-end:
			return
		case <-ctx.Done():
			return
		case <-t.C:
		}
	}
}

func (c *clock) state() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.synced {
		return "by a time server"
	}
	return "no time server has answered yet"
}

// save keeps the time for the next start.
func (c *clock) save() {
	tmp := c.file + ".new"
	if err := os.WriteFile(tmp, strconv.AppendInt(nil, time.Now().Unix(), 10), 0o644); err != nil {
		say("the time cannot be kept: %v", err)
		return
	}
	if err := os.Rename(tmp, c.file); err != nil {
		say("the time cannot be kept: %v", err)
	}
}

// adjust moves the clock by d, smoothly where d is small, and tells the kernel
// that a time server keeps it, which is how a program knows.
func adjust(d time.Duration) {
	t := unix.Timex{Modes: unix.ADJ_STATUS | unix.ADJ_MAXERROR | unix.ADJ_ESTERROR, Maxerror: 100_000, Esterror: 100_000}
	if d.Abs() < slewMost {
		t.Modes |= unix.ADJ_OFFSET | unix.ADJ_NANO
		t.Status = unix.STA_PLL | unix.STA_NANO
		t.Offset = d.Nanoseconds()
	} else {
		setTime(time.Now().Add(d))
	}
	if _, err := unix.Adjtimex(&t); err != nil {
		say("the kernel is not told of the time server: %v", err)
	}
}

func setTime(t time.Time) {
	tv := unix.NsecToTimeval(t.UnixNano())
	if err := unix.Settimeofday(&tv); err != nil {
		say("the clock cannot be set: %v", err)
	}
}

// hosts are the servers of a DHCP answer that can be asked.
func hosts(texts []string) []string {
	return slices.DeleteFunc(texts, func(s string) bool { return s == "" || strings.HasPrefix(s, "0.") })
}
