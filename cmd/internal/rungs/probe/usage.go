//go:build linux

package main

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

// usage is what a process takes.
type usage struct {
	rss int64 // bytes
	cpu time.Duration
	fds int
}

func (u usage) String() string { return fmt.Sprintf("rss=%d cpu=%d fds=%d", u.rss, u.cpu, u.fds) }

// usageOf reads it from /proc (proc(5): the fields of stat are counted behind
// the name, which may have blanks; times are in hundredths of a second).
func usageOf(pid int) (u usage, err error) {
	dir := fmt.Sprintf("/proc/%d/", pid)
	raw, err := os.ReadFile(dir + "stat")
	if err != nil {
		return u, err
	}
	f := strings.Fields(string(raw[strings.LastIndexByte(string(raw), ')')+1:]))
	const utime, stime, rss = 14 - 3, 15 - 3, 24 - 3
	if len(f) <= rss {
		return u, fmt.Errorf("%sstat has %d fields", dir, len(f))
	}
	for _, i := range []int{utime, stime} {
		n, err := strconv.ParseInt(f[i], 10, 64)
		if err != nil {
			return u, err
		}
		u.cpu += time.Duration(n) * 10 * time.Millisecond
	}
	pages, err := strconv.ParseInt(f[rss], 10, 64)
	if err != nil {
		return u, err
	}
	u.rss = pages * int64(os.Getpagesize())
	open, err := os.ReadDir(dir + "fd")
	u.fds = len(open)
	return u, err
}
