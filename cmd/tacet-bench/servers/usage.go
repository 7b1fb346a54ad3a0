package servers

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"strings"
)

// ticks is the kernel's unit of processor time, which is the same everywhere.
const ticks = 100

// CPU is how much processor time the process has taken, in seconds.
func (p *Process) CPU() (float64, error) { return CPU(p.PID()) }

// CPU is how much processor time a process has taken, in seconds.
func CPU(pid int) (float64, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, err
	}
	fields := bytes.Fields(b[bytes.LastIndexByte(b, ')')+1:]) // the name may have spaces
	if len(fields) < 13 {
		return 0, fmt.Errorf("%q has no times", b)
	}
	user, err1 := strconv.ParseFloat(string(fields[11]), 64)
	system, err2 := strconv.ParseFloat(string(fields[12]), 64)
	if err1 != nil || err2 != nil {
		return 0, fmt.Errorf("%q has no times", b)
	}
	return (user + system) / ticks, nil
}

// RSS is how much memory of the process is resident, in bytes.
func (p *Process) RSS() (int, error) { return RSS(p.PID()) }

// RSS is how much memory of a process is resident, in bytes.
func RSS(pid int) (int, error) {
	kb, err := field(fmt.Sprintf("/proc/%d/status", pid), "VmRSS:")
	return kb << 10, err
}

// Written is how much the process has had written to disks, in bytes.
func (p *Process) Written() (int, error) {
	return field(fmt.Sprintf("/proc/%d/io", p.PID()), "write_bytes:")
}

// field is the number that follows a name in a file of the kernel's.
func field(file, name string) (int, error) {
	b, err := os.ReadFile(file)
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(b)) {
		if rest, ok := strings.CutPrefix(line, name); ok {
			return strconv.Atoi(strings.Fields(rest)[0])
		}
	}
	return 0, fmt.Errorf("%s has no %s", file, name)
}

// Load is the machine's load average of the last minute; 0 where it is unknown.
func Load() float64 {
	b, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return 0
	}
	f, _ := strconv.ParseFloat(strings.Fields(string(b))[0], 64)
	return f
}
