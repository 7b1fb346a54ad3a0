package broker

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/netip"
	"strings"
	"testing"

	proxyproto "github.com/pires/go-proxyproto"
)

const binary4 = proxySign + "\x21\x11\x00\x0c\xc0\x00\x02\x07\xc6\x33\x64\x01\xc0\x00\x07\x5b"

var binary6 = proxySign + "\x21\x21\x00\x24" + strings.Repeat("\x20\x01\x0d\xb8", 8) + "\xc0\x00\x07\x5b"

func TestReadProxy(t *testing.T) {
	for name, c := range map[string]struct{ in, want string }{
		"v1":               {"PROXY TCP4 192.0.2.7 198.51.100.1 49152 1883\r\n", "192.0.2.7:49152"},
		"v1 IPv6":          {"PROXY TCP6 2001:db8::7 2001:db8::1 49152 1883\r\n", "[2001:db8::7]:49152"},
		"v1 mapped":        {"PROXY TCP6 ::ffff:192.0.2.7 ::1 1 2\r\n", "192.0.2.7:1"},
		"v1 unknown":       {"PROXY UNKNOWN\r\n", ""},
		"v1 unknown, more": {"PROXY UNKNOWN ffff:f...f:ffff ffff::ffff 65535 65535\r\n", ""},
		"v2":               {binary4, "192.0.2.7:49152"},
		"v2 IPv6":          {binary6, "[2001:db8:2001:db8:2001:db8:2001:db8]:49152"},
		"v2 with more":     {strings.Replace(binary4, "\x00\x0c", "\x00\x10", 1) + "\x04\x00\x01\x00", "192.0.2.7:49152"},
		"v2 local":         {proxySign + "\x20\x00\x00\x00", ""},
		"v2 not said":      {proxySign + "\x21\x00\x00\x00", ""},
		"v2 Unix socket":   {proxySign + "\x21\x31\x00\xd8" + strings.Repeat("\x00", 216), ""},
	} {
		in := strings.NewReader(c.in + "\x10rest")
		got, err := readProxy(in)
		if text := got.String(); err != nil || got.IsValid() && text != c.want || !got.IsValid() && c.want != "" {
			t.Errorf("%s: %s %v, want %s", name, got, err, c.want)
		}
		if rest, _ := io.ReadAll(in); string(rest) != "\x10rest" {
			t.Errorf("%s: %q is left of the client's bytes", name, rest)
		}
	}
}

func TestReadProxyRefuses(t *testing.T) {
	for name, in := range map[string]string{
		"nothing":            "",
		"MQTT":               "\x10\x12\x00\x04MQTT\x05\x02\x00\x0a\x00\x00\x05north",
		"cut short":          "PROXY TCP4 1.2.3.4 1.2.",
		"no line end":        "PROXY TCP4 " + strings.Repeat("1", 200),
		"line feed alone":    "PROXY TCP4 192.0.2.7 198.51.100.1 49152 1883\n\n",
		"wrong family":       "PROXY TCP4 2001:db8::7 2001:db8::1 49152 1883\r\n",
		"UDP":                "PROXY UDP4 192.0.2.7 198.51.100.1 49152 1883\r\n",
		"port too high":      "PROXY TCP4 192.0.2.7 198.51.100.1 65536 1883\r\n",
		"port with a zero":   "PROXY TCP4 192.0.2.7 198.51.100.1 049152 1883\r\n",
		"target malformed":   "PROXY TCP4 192.0.2.7 198.51.100 49152 1883\r\n",
		"one field too many": "PROXY TCP4 192.0.2.7 198.51.100.1 49152 1883 x\r\n",
		"two spaces":         "PROXY  TCP4 192.0.2.7 198.51.100.1 49152 1883\r\n",
		"zone":               "PROXY TCP6 fe80::1%eth0 ::1 49152 1883\r\n",
		"lower case":         "proxy TCP4 192.0.2.7 198.51.100.1 49152 1883\r\n",
		"v2 version":         proxySign + "\x31\x11\x00\x0c" + strings.Repeat("\x01", 12),
		"v2 command":         proxySign + "\x22\x11\x00\x0c" + strings.Repeat("\x01", 12),
		"v2 UDP":             proxySign + "\x21\x12\x00\x0c" + strings.Repeat("\x01", 12),
		"v2 short addresses": proxySign + "\x21\x11\x00\x08" + strings.Repeat("\x01", 8),
		"v2 too long":        proxySign + "\x21\x11\xff\xff" + strings.Repeat("\x01", 65535),
		"v2 cut short":       binary4[:len(binary4)-1],
	} {
		if got, err := readProxy(strings.NewReader(in)); !errors.Is(err, errProxy) {
			t.Errorf("%s: %s %v; want an error of the header", name, got, err)
		}
	}
}

// FuzzReadProxy: it takes no byte of the client's, and where it takes an address
// the library that many programs use takes the same. (That one refuses a LOCAL
// header with a family that it does not know, which shall be ignored.)
func FuzzReadProxy(f *testing.F) {
	for _, s := range []string{"PROXY TCP4 192.0.2.7 198.51.100.1 49152 1883\r\n", "PROXY TCP6 ::1 ::1 1 2\r\n", "PROXY UNKNOWN\r\n", binary4, binary6, proxySign + "\x20\x00\x00\x00"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		r := strings.NewReader(string(in))
		got, err := readProxy(r)
		if err != nil {
			if !errors.Is(err, errProxy) {
				t.Fatalf("%q: %v", in, err)
			}
			return
		}
		if !got.IsValid() {
			return
		}
		taken := string(in[:len(in)-r.Len()])
		h, err := proxyproto.Read(bufio.NewReader(strings.NewReader(taken)))
		if err != nil {
			t.Fatalf("%q: taken as %s; the library: %v", taken, got, err)
		}
		if src, ok := h.SourceAddr.(*net.TCPAddr); ok {
			ip, _ := netip.AddrFromSlice(src.IP)
			if ip.Unmap() != got.Addr() || src.Port != int(got.Port()) {
				t.Fatalf("%q: %s, the library %s", taken, got, src)
			}
		}
	})
}
