//go:build linux

package rungs

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"strings"
	"time"
)

// StartVirt starts a guest on QEMU's arm64 board "virt" with a kernel that is
// Debian's own. The guest's network is QEMU's user network, in which 10.0.2.2 is
// the loopback of the host.
func StartVirt(ctx context.Context, d Debian, dir string, g Guest) (*Machine, *Monitor, error) {
	g.Modules = d.Modules
	initrd := filepath.Join(dir, g.Name+".img")
	if err := g.initrd(initrd); err != nil {
		return nil, nil, fmt.Errorf("root of %s: %w", g.Name, err)
	}
	socket := filepath.Join(dir, g.Name+".mon")
	m, err := Start(ctx, g.Name, "qemu-system-aarch64", "-M", "virt", "-cpu", "cortex-a53", "-m", "320", "-display", "none", "-no-reboot",
		"-netdev", "user,id=n0", "-device", "virtio-net-pci,netdev=n0,romfile=", "-serial", "stdio",
		"-monitor", "unix:"+socket+",server=on,wait=off", "-kernel", d.Kernel, "-initrd", initrd,
		"-append", strings.Join(append([]string{"console=ttyAMA0 quiet panic=-1 rdinit=/init net.ifnames=0"}, g.words()...), " "))
	return m, &Monitor{socket: socket}, err
}

// Monitor is the human monitor of a QEMU (qemu-system-aarch64 -monitor). It is
// used by one goroutine.
type Monitor struct {
	socket string
	conn   net.Conn
	in     *bufio.Reader
}

const prompt = "(qemu) "

// Do has QEMU do something and answers what it says. It connects when it is
// first called. It blocks until QEMU has done it, or ctx ends.
func (m *Monitor) Do(ctx context.Context, command string) (string, error) {
	if m.conn == nil {
		if err := m.connect(ctx); err != nil {
			return "", err
		}
	}
	_ = m.conn.SetDeadline(time.Time{}) // one that has ended left its mark
	stop := context.AfterFunc(ctx, func() { _ = m.conn.SetDeadline(time.Now()) })
	defer stop()
	if _, err := fmt.Fprintln(m.conn, command); err != nil {
		return "", fmt.Errorf("monitor: %s: %w", command, err)
	}
	said, err := m.read()
	if err != nil {
		return "", fmt.Errorf("monitor: %s: %w", command, errors.Join(ctx.Err(), err))
	}
	_, said, _ = strings.Cut(said, "\n") // the command again, as a terminal shows it
	return strings.TrimSpace(said), nil
}

func (m *Monitor) connect(ctx context.Context) error {
	var d net.Dialer
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		conn, err := d.DialContext(ctx, "unix", m.socket)
		if err == nil {
			m.conn, m.in = conn, bufio.NewReader(conn)
			_, err = m.read() // the greeting
			return err
		}
		select {
		case <-tick.C: // QEMU has not made its socket yet
		case <-ctx.Done():
			return fmt.Errorf("monitor: %w", err)
		}
	}
}

// read reads up to the next prompt.
func (m *Monitor) read() (string, error) {
	var said strings.Builder
	for {
		b, err := m.in.ReadByte()
		if err != nil {
			return said.String(), err
		}
		said.WriteByte(b)
		if s := said.String(); strings.HasSuffix(s, prompt) {
			return strings.TrimSuffix(s, prompt), nil
		}
	}
}

// Close hangs up.
func (m *Monitor) Close() {
	if m.conn != nil {
		_ = m.conn.Close() // there is nothing to lose
	}
}
