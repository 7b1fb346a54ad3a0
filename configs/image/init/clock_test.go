package main

import (
	"encoding/binary"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"
)

// timeServer answers as a time server whose clock is ahead by so much (RFC 5905,
// section 7.3).
func timeServer(t *testing.T, ahead time.Duration) string {
	t.Helper()
	c, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	go func() { // ends with the socket
		b := make([]byte, 512)
		for {
			n, from, err := c.ReadFrom(b)
			if err != nil {
				return
			}
			if n < 48 {
				continue
			}
			const server, stratum, era = 4<<3 | 4, 2, 2208988800
			answer := make([]byte, 48)
			answer[0], answer[1], answer[2], answer[3] = server, stratum, 6, 0xe9
			copy(answer[12:], "TEST")
			copy(answer[24:], b[40:48]) // when it was asked
			now := time.Now().Add(ahead)
			for _, at := range []int{16, 32, 40} { // set, received, sent
				binary.BigEndian.PutUint32(answer[at:], uint32(now.Unix()+era))
				binary.BigEndian.PutUint32(answer[at+4:], uint32(uint64(now.Nanosecond())<<32/1e9))
			}
			_, _ = c.WriteTo(answer, from)
		}
	}()
	return c.LocalAddr().String()
}

// The clock is that of the first server that answers; that it is known is said
// once.
func TestTimeServer(t *testing.T) {
	silent, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	dead := silent.LocalAddr().String()
	silent.Close() // a port that nobody listens on answers at once that it is none
	c := newClock(t.TempDir(), []string{dead, timeServer(t, time.Hour)})
	var moved []time.Duration
	c.adjust = func(d time.Duration) { moved = append(moved, d) }
	if c.state() != "no time server has answered yet" {
		t.Errorf("before: %s", c.state())
	}
	for range 2 {
		if !c.once() {
			t.Fatal("no server has answered")
		}
	}
	select {
	case <-c.known:
	default:
		t.Error("nobody was told that the time is known")
	}
	for _, d := range moved {
		if (d - time.Hour).Abs() > 10*time.Second {
			t.Errorf("it was moved by %v, want an hour", d)
		}
	}
	if len(moved) != 2 || c.state() != "by a time server" {
		t.Errorf("after: %v, %s", moved, c.state())
	}
}

// A server that DHCP tells is asked first, and once.
func TestServersOfTheNetwork(t *testing.T) {
	c := newClock(t.TempDir(), []string{"pool.example"})
	c.ask([]string{"192.0.2.1"})
	c.ask([]string{"192.0.2.1", "192.0.2.2"})
	if len(c.servers) != 3 || c.servers[0] != "192.0.2.2" || c.servers[2] != "pool.example" {
		t.Errorf("servers %q", c.servers)
	}
}

// The clock does not go back behind what was kept, whatever is in the file.
func TestLeastTime(t *testing.T) {
	dir := t.TempDir()
	c := newClock(dir, nil)
	if got := c.least(); got.Before(builtBefore) {
		t.Errorf("least time %s", got)
	}
	c.save()
	if got := c.least(); time.Since(got) > time.Hour {
		t.Errorf("after it was kept: %s", got)
	}
	for _, text := range []string{"", "x", "-5", strconv.FormatInt(builtBefore.Unix()-1, 10)} {
		if err := os.WriteFile(filepath.Join(dir, "clock"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if got := c.least(); got.Before(builtBefore) {
			t.Errorf("with %q in the file: %s", text, got)
		}
	}
}
