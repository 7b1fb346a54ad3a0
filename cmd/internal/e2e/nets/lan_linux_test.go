package nets

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// space is a network namespace. It lives as long as the process that was born in
// it, and that as long as its standard input.
type space struct {
	t   *testing.T
	pid int
	ns  *os.File
}

func newSpace(t *testing.T) *space {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("to make networks one has to be root")
	}
	keeper := exec.Command("cat")
	keeper.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET}
	in, err := keeper.StdinPipe()
	if err == nil {
		err = keeper.Start()
	}
	if err != nil {
		t.Fatalf("make a network: %v", err)
	}
	t.Cleanup(func() {
		_ = in.Close()
		_ = keeper.Wait() // it ends with its input
	})
	ns, err := os.Open(fmt.Sprintf("/proc/%d/ns/net", keeper.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ns.Close() })
	return &space{t: t, pid: keeper.Process.Pid, ns: ns}
}

// within calls f with a thread that is in the namespace: what f starts or opens is
// there.
func (s *space) within(f func() error) error {
	runtime.LockOSThread()
	back, err := os.Open("/proc/thread-self/ns/net")
	if err != nil {
		runtime.UnlockOSThread()
		return err
	}
	defer back.Close()
	if err := unix.Setns(int(s.ns.Fd()), unix.CLONE_NEWNET); err != nil {
		runtime.UnlockOSThread()
		return err
	}
	err = f()
	if lost := unix.Setns(int(back.Fd()), unix.CLONE_NEWNET); lost != nil {
		return errors.Join(err, lost) // the thread stays locked, and ends with its goroutine
	}
	runtime.UnlockOSThread()
	return err
}

// dial connects from the namespace, to an address that needs no resolving.
func (s *space) dial(ctx context.Context, network, addr string) (c net.Conn, err error) {
	err = s.within(func() (err error) {
		c, err = (&net.Dialer{}).DialContext(ctx, network, addr)
		return err
	})
	return c, err
}

// do runs a program in the namespace to its end, which must be a good one.
func (s *space) do(in string, name string, args ...string) {
	s.t.Helper()
	var said bytes.Buffer
	cmd := exec.Command(name, args...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(in), &said, &said
	err := s.within(cmd.Start)
	if err == nil {
		err = cmd.Wait()
	}
	if err != nil {
		s.t.Fatalf("%s %s: %v: %s\n%s", name, strings.Join(args, " "), err, said.Bytes(), in)
	}
}

// lan is an Ethernet: a switch, and hosts at it.
type lan struct {
	t     *testing.T
	wire  *space
	hosts []*host
	ip    string // the program
	nft   string
}

// host is a machine at a lan.
type host struct {
	*space
	lan  *lan
	name string
	addr string
	deaf map[string]string // address of who is not heard, and the rule that says when
}

func newLAN(t *testing.T) *lan {
	t.Helper()
	l := &lan{t: t, wire: newSpace(t), ip: tool(t, "ip", "iproute2"), nft: tool(t, "nft", "nftables")}
	l.wire.do("link set lo up\nlink add br0 type bridge mcast_snooping 0\nlink set br0 up\n", l.ip, "-batch", "-")
	return l
}

// host puts one more machine at the switch. Its interface is eth0, and what it
// sends to all goes there.
func (l *lan) host(name string) *host {
	l.t.Helper()
	n := len(l.hosts) + 1
	h := &host{space: newSpace(l.t), lan: l, name: name, addr: fmt.Sprintf("10.77.0.%d", n), deaf: map[string]string{}}
	l.wire.do(fmt.Sprintf("link add port%d type veth peer name eth0 netns %d\nlink set port%d master br0\nlink set port%d up\n", n, h.pid, n, n), l.ip, "-batch", "-")
	h.do(fmt.Sprintf("link set lo up\naddress add %s/24 dev eth0\nlink set eth0 up\nroute add 224.0.0.0/4 dev eth0\n", h.addr), l.ip, "-batch", "-")
	l.hosts = append(l.hosts, h)
	return h
}

// apply has the kernel of the host drop what it does not hear.
func (h *host) apply() {
	h.t.Helper()
	var b strings.Builder
	b.WriteString("table inet cut\ndelete table inet cut\ntable inet cut {\nchain in {\ntype filter hook input priority 0;\n")
	for from, when := range h.deaf {
		fmt.Fprintf(&b, "ip saddr %s %s drop\n", from, when)
	}
	b.WriteString("}\n}\n")
	h.do(b.String(), h.lan.nft, "-f", "-")
}

// mute has nothing of from arrive at to; what goes the other way does.
func (l *lan) mute(from, to *host) {
	l.t.Helper()
	to.deaf[from.addr] = ""
	to.apply()
}

// cut has nothing pass between hosts of the one group and of the other.
func (l *lan) cut(some, others []*host) {
	l.t.Helper()
	for _, a := range some {
		for _, b := range others {
			a.deaf[b.addr], b.deaf[a.addr] = "", ""
		}
	}
	for _, h := range append(append([]*host{}, some...), others...) {
		h.apply()
	}
}

// isolate cuts a host off from all others.
func (l *lan) isolate(h *host) {
	l.t.Helper()
	var others []*host
	for _, o := range l.hosts {
		if o != h {
			others = append(others, o)
		}
	}
	l.cut([]*host{h}, others)
}

// lose has so many of a hundred packets get lost, between any two hosts.
func (l *lan) lose(percent int) {
	l.t.Helper()
	for _, to := range l.hosts {
		for _, from := range l.hosts {
			if from != to {
				to.deaf[from.addr] = fmt.Sprintf("numgen random mod 100 < %d", percent)
			}
		}
		to.apply()
	}
}

// heal has everything arrive again.
func (l *lan) heal() {
	l.t.Helper()
	for _, h := range l.hosts {
		if len(h.deaf) > 0 {
			clear(h.deaf)
			h.apply()
		}
	}
}
