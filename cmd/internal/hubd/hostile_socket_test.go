package hubd

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tacet-hub/tacet/cmd/internal/conf"
)

// frame is a WebSocket frame as a client sends it, with a mask of zeros.
func frame(first byte, payload string) string {
	return head(first, len(payload)) + payload
}

// head is a frame's header alone.
func head(first byte, size int) string {
	b := []byte{first}
	switch {
	case size < 126:
		b = append(b, 0x80|byte(size))
	case size < 1<<16:
		b = binary.BigEndian.AppendUint16(append(b, 0x80|126), uint16(size))
	default:
		b = binary.BigEndian.AppendUint64(append(b, 0x80|127), uint64(size))
	}
	return string(append(b, 0, 0, 0, 0))
}

const (
	shakeHands = "{\"protocol\":\"json\",\"version\":1}\x1e"
	huge       = "\x81\xff\x80\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00" // text of 2^63 bytes
	nearlyHuge = "\x81\xff\x7f\xff\xff\xff\xff\xff\xff\xff\x00\x00\x00\x00" // of one less
)

// hostileFrames are said on a WebSocket whose hub has shaken hands, or on one
// for MQTT that has not, upon which the connection must end.
var hostileFrames = []struct {
	name string
	say  string // frames
	raw  bool   // before the hub's handshake
}{
	{"a frame of 2^63 bytes", huge, false},
	{"a frame of 2^63 - 1 bytes, and some of them", nearlyHuge + strings.Repeat("x", 40_000), false},
	{"a frame of 2^63 bytes before the handshake", huge, true},
	{"a frame of 1 GiB, and some of it", head(0x81, 1<<30) + strings.Repeat("x", 40_000), false},
	{"a reserved opcode", frame(0x83, "x"), false},
	{"a reserved control opcode", frame(0x8b, "x"), false},
	{"a reserved bit", frame(0xc1, "x"), false},
	{"all reserved bits", frame(0xf1, "x"), false},
	{"a frame without a mask", "\x81\x01x", false},
	{"a ping of 126 bytes", frame(0x89, strings.Repeat("x", 126)), false},
	{"a ping in pieces", frame(0x09, "x"), false},
	{"a piece of nothing", frame(0x80, "x"), false},
	{"a message inside another", frame(0x01, "x") + frame(0x81, "y"), false},
	{"a close of one byte", frame(0x88, "x"), false},
	{"a close for a reason that is never sent", frame(0x88, "\x03\xed"), false},
	{"a close whose words are no text", frame(0x88, "\x03\xe8\xff\xfe"), false},
	{"pieces without end", frame(0x01, "{") + strings.Repeat(frame(0x00, strings.Repeat(" ", 1024)), 20_000), false},
	{"text that is no text", frame(0x81, "{\"type\":1,\"target\":\"\xff\xfe\",\"arguments\":[]}\x1e"), false},
	{"a message of 40,000 bytes", frame(0x81, "{\"type\":1,\"target\":\"Echo\",\"arguments\":[\""+strings.Repeat("x", 40_000)+"\"]}\x1e"), false},
	{"a record that is no JSON", frame(0x81, "hello\x1e"), false},
	{"a record without a type", frame(0x81, "{}\x1e"), false},
	{"a record of a type unheard of", frame(0x81, "{\"type\":\"one\"}\x1e"), false},
	{"a record 10,000 deep", frame(0x81, "{\"type\":1,\"target\":\"Echo\",\"arguments\":["+strings.Repeat("[", 10_000)+"\x1e"), false},
	{"a version to come", frame(0x81, "{\"protocol\":\"json\",\"version\":99}\x1e"), true},
	{"a protocol unheard of", frame(0x81, "{\"protocol\":\"xml\",\"version\":1}\x1e"), true},
	{"a handshake that is no JSON", frame(0x81, "hello\x1e"), true},
	{"a handshake of 40,000 bytes", frame(0x81, strings.Repeat(" ", 40_000)), true},
	{"no handshake", "", true},
}

// TestHostileFrames: each ends its connection, and the next client is served.
func TestHostileFrames(t *testing.T) {
	t.Parallel()
	at := besieged(t, func(c *conf.Config) { c.Hub.HandshakeTimeout = 2 * time.Second })
	t.Run("all", func(t *testing.T) {
		for _, c := range hostileFrames {
			t.Run(c.name, func(t *testing.T) {
				t.Parallel()
				say := c.say
				if !c.raw {
					say = frame(0x81, shakeHands) + say
				}
				conn, in := upgraded(t, at, "/hubs/devices", "")
				go func() { _, _ = io.WriteString(conn, say) }() // it ends before all is said
				endOf(t, in)
				healthy(t, at)
			})
		}
	})
}

// TestHostileFramesOfMQTT: the same inside the WebSocket of MQTT.
func TestHostileFramesOfMQTT(t *testing.T) {
	t.Parallel()
	at := besieged(t, nil)
	hello := "\x10\x10\x00\x04MQTT\x04\x02\x00\x3c\x00\x04gate"
	t.Run("all", func(t *testing.T) {
		for _, c := range []struct{ name, say string }{
			{"a frame of 2^63 bytes", huge},
			{"a frame of 2^63 bytes after CONNECT", frame(0x82, hello) + "\x82" + huge[1:]},
			{"text", frame(0x81, hello)},
			{"a frame without a mask", "\x82\x01x"},
			{"a reserved opcode", frame(0x83, "x")},
			{"a ping in pieces", frame(0x09, "x")},
			{"a packet over the limit in pieces without end", frame(0x02, hello) + frame(0x00, "\x30\xff\xff\xff\x7f") + strings.Repeat(frame(0x00, strings.Repeat("x", 1024)), 20_000)},
			{"a packet that is none", frame(0x82, hello) + frame(0x82, "\x00\x00")},
			{"a packet before CONNECT", frame(0x82, "\xc0\x00")},
			{"nothing", ""},
		} {
			t.Run(c.name, func(t *testing.T) {
				t.Parallel()
				conn, in := upgraded(t, at, "/mqtt", "mqtt")
				go func() { _, _ = io.WriteString(conn, c.say) }() // it ends before all is said
				endOf(t, in)
				healthy(t, at)
			})
		}
	})
}

// TestBadUpgrades: what asks for a WebSocket in a wrong way, or from a page
// that is not ours, gets none.
func TestBadUpgrades(t *testing.T) {
	t.Parallel()
	at := besieged(t, nil)
	good := []string{"Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==", "Sec-WebSocket-Protocol: mqtt"}
	t.Run("all", func(t *testing.T) {
		for _, c := range []struct {
			name, first string // first: the request line; empty: GET with HTTP/1.1
			without     int    // line of good that is left out; -1: none
			with        string // another line
		}{
			{"no connection header", "", 0, ""},
			{"no upgrade header", "", 1, ""},
			{"no version", "", 2, ""},
			{"an old version", "", 2, "Sec-WebSocket-Version: 8"},
			{"no key", "", 3, ""},
			{"a short key", "", 3, "Sec-WebSocket-Key: AAAA"},
			{"another protocol", "", 1, "Upgrade: h2c"},
			{"a POST", "POST PATH HTTP/1.1", -1, "Content-Length: 0"},
			{"HTTP/1.0", "GET PATH HTTP/1.0", 0, ""},
			{"a foreign page", "", -1, "Origin: http://example.org"},
			{"a page of no origin", "", -1, "Origin: null"},
			{"a page whose name ends like ours", "", -1, "Origin: http://evil-127.0.0.1"},
		} {
			for _, path := range []string{"/hubs/devices", "/mqtt"} {
				t.Run(c.name+" for "+path[1:], func(t *testing.T) {
					t.Parallel()
					lines := slices.Clone(good)
					if c.without >= 0 {
						lines = slices.Delete(lines, c.without, c.without+1)
					}
					if c.with != "" {
						lines = append(lines, c.with)
					}
					first := strings.ReplaceAll(c.first, "PATH", path)
					if first == "" {
						first = "GET " + path + " HTTP/1.1"
					}
					conn := dialWeb(t, at)
					if _, err := fmt.Fprintf(conn, "%s\r\nHost: %s\r\nConnection: close\r\n%s\r\n\r\n", first, at, strings.Join(lines, "\r\n")); err != nil {
						t.Fatal(err)
					}
					if answers, text := statuses(t, conn); len(answers) != 1 || answers[0] < 400 || answers[0] >= 500 {
						t.Errorf("answered %v %.200q, want 4xx", answers, text)
					}
					healthy(t, at)
				})
			}
		}
	})
}

// upgraded opens a WebSocket.
func upgraded(t *testing.T, at, path, protocol string) (net.Conn, *bufio.Reader) {
	t.Helper()
	conn := dialWeb(t, at)
	if protocol != "" {
		protocol = "Sec-WebSocket-Protocol: " + protocol + "\r\n"
	}
	_, err := fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: %s\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n%s\r\n", path, at, protocol)
	if err != nil {
		t.Fatal(err)
	}
	in := bufio.NewReader(conn)
	res, err := http.ReadResponse(in, nil)
	if err != nil {
		t.Fatal(err)
	}
	if res.StatusCode != http.StatusSwitchingProtocols {
		t.Fatalf("answered %s, want an upgrade", res.Status)
	}
	return conn, in
}

// endOf reads until the connection ends.
func endOf(t *testing.T, in *bufio.Reader) {
	t.Helper()
	if _, err := io.Copy(io.Discard, in); errors.Is(err, os.ErrDeadlineExceeded) {
		t.Error("the connection is still open")
	}
}
