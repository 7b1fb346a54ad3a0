package nets

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/tacet-hub/tacet/broker/area"
)

// mib is the size of a disk that is soon full.
const mib = 4

// small is a command that has a directory of a file system of its own, in memory,
// which nobody else sees and which ends with the program: a gate that is started
// again has forgotten everything.
func (g *gate) small(command ...string) []string {
	g.t.Helper()
	tool(g.t, "unshare", "util-linux")
	script := fmt.Sprintf(`mount -t tmpfs -o size=%dm none "$0" && exec "$@"`, mib)
	return append([]string{"unshare", "--mount", "sh", "-c", script, g.file("data")}, command...)
}

// filler is a file of a small disk, as it is seen from here.
func (g *gate) filler() string {
	return filepath.Join(fmt.Sprintf("/proc/%d/root", g.p.cmd.Process.Pid), g.file("data"), "filler")
}

// fill fills the disk of a gate.
func (g *gate) fill() {
	g.t.Helper()
	f, err := os.Create(g.filler())
	if err != nil {
		g.t.Fatal(err)
	}
	defer f.Close()
	if _, err = io.Copy(f, io.LimitReader(zeros{}, 2*mib<<20)); !errors.Is(err, syscall.ENOSPC) {
		g.t.Fatalf("the disk is not full: %v", err)
	}
}

// clear makes room again.
func (g *gate) clear() {
	g.t.Helper()
	if err := os.Remove(g.filler()); err != nil {
		g.t.Fatal(err)
	}
}

type zeros struct{}

func (zeros) Read(b []byte) (int, error) {
	clear(b)
	return len(b), nil
}

// family is a program and those that it has started: a device that leads has one.
func (p *process) family() (pids []string) {
	pids = []string{fmt.Sprint(p.cmd.Process.Pid)}
	lists, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", p.cmd.Process.Pid))
	for _, file := range lists {
		b, _ := os.ReadFile(file) // the thread may have ended
		pids = append(pids, strings.Fields(string(b))...)
	}
	return pids
}

// breaks has each fsync of a program, and of those that it has started, fail from
// now on, until it ends.
func (p *process) breaks() {
	p.t.Helper()
	const calls = "fsync,fdatasync,msync,sync_file_range"
	var said bytes.Buffer
	pids := p.family()
	cmd := exec.Command(tool(p.t, "strace", "strace"), "-f", "-qq", "-o", "/dev/null", "-p", strings.Join(pids, ","),
		"-e", "trace="+calls, "-e", "inject="+calls+":error=EIO")
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Start(); err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGINT) // it lets go of a program that lives
		_ = cmd.Wait()
	})
	until(p.t, "fsync fails", func() (bool, string) {
		var list []string
		for _, pid := range pids {
			tasks, _ := filepath.Glob("/proc/" + pid + "/task/*/status")
			list = append(list, tasks...)
		}
		for _, file := range list {
			if b, err := os.ReadFile(file); err == nil && strings.Contains(string(b), "TracerPid:\t0\n") {
				return false, "not traced yet"
			}
		}
		return len(list) > 0, "there is no such process"
	})
}

// newTeamOnSmallDisks is newTeam with gates whose disks are soon full.
func newTeamOnSmallDisks(t *testing.T, gates int) *team {
	t.Helper()
	s := planSite(t, gates, "", peers)
	for _, g := range s.gates {
		g.tight = true
	}
	s.begin()
	return &team{site: s, ear: s.hub.listen(s.gates[0].id, secret)}
}

// TestTheLeadersDiskIsFull: what it has no room for it does not say that it has; it
// goes on, or another one does. A device whose disk is full plays.
func TestTheLeadersDiskIsFull(t *testing.T) {
	t.Parallel()
	s := newTeamOnSmallDisks(t, 3)
	first, _ := s.led(0, s.gates...)
	s.primed(short)
	first.fill()
	for range 3 {
		for _, g := range s.gates {
			s.ended(s.order(g.alone(), short))
		}
	}
	s.lasts()
	first.clear()
	s.order(first.alone(), short)
	s.judge(allow{})
}

// TestTheNextLeadersDiskIsFull: it gives its reign up, whose term it cannot keep, and
// the one after it leads.
func TestTheNextLeadersDiskIsFull(t *testing.T) {
	t.Parallel()
	s := newTeamOnSmallDisks(t, 3)
	first, term := s.led(0, s.gates...)
	s.primed(short)
	others := s.but(first) // in their order, which is that in which they would lead
	others[0].fill()
	first.p.kill()
	s.led(term, others[1])
	for _, g := range others {
		s.ended(s.order(g.alone(), short))
	}
	s.lasts()
	s.judge(allow{})
}

// TestTheLeadersDiskFails: with the first fsync that fails it is known no more what
// is on the disk. The leader assigns nothing, and leaves the area to another one.
func TestTheLeadersDiskFails(t *testing.T) {
	t.Parallel()
	s := newTeam(t, 3, "")
	first, term := s.led(0, s.gates...)
	s.primed(short)
	first.p.breaks()
	var ids []area.WorkID
	for _, g := range s.gates {
		ids = append(ids, s.order(g.alone(), short))
	}
	if now, _ := s.led(term, s.gates...); now == first {
		t.Errorf("%s leads again, whose disk fails", now.id)
	}
	for _, id := range ids {
		s.ended(id)
	}
	s.lasts()
	s.order(anybody(), short)
	s.judge(allow{})
}
