package broker

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"slices"
	"strings"
)

// The PROXY protocol, versions 1 and 2 (haproxy.org, proxy-protocol.txt): what
// a load balancer writes before the first byte of the client, so that the hub
// knows the client's address.

const (
	proxyText = "PROXY "
	proxySign = "\r\n\r\n\x00\r\nQUIT\n"

	proxyTextMost = 107     // bytes of a version 1 header, its line end included
	proxyBodyMost = 4 << 10 // bytes after the first 16 of a version 2 header: addresses and what balancers add to them
)

// errProxy is the error of every header that is missing or malformed.
var errProxy = errors.New("proxy header")

func proxyFault(format string, args ...any) error {
	return fmt.Errorf("%w: %s", errProxy, fmt.Sprintf(format, args...))
}

// readProxy reads one header and not a byte more, and answers the client's
// address. It is zero where the balancer speaks for itself, such as to see
// whether we are alive.
func readProxy(r io.Reader) (netip.AddrPort, error) {
	var head [len(proxySign)]byte // as long as the shortest header of version 1 is, and less
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return netip.AddrPort{}, cutShort(err)
	}
	switch {
	case string(head[:]) == proxySign:
		return readProxyBinary(r)
	case bytes.HasPrefix(head[:], []byte(proxyText)):
		return readProxyText(r, head[:])
	}
	return netip.AddrPort{}, proxyFault("there is none")
}

func cutShort(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return proxyFault("it is cut short")
	}
	return err
}

// readProxyText reads the rest of a line such as
// "PROXY TCP4 192.0.2.7 198.51.100.1 49152 1883\r\n". It reads byte by byte:
// what follows the line is the client's.
func readProxyText(r io.Reader, line []byte) (netip.AddrPort, error) {
	for !bytes.HasSuffix(line, []byte("\r\n")) {
		if len(line) == proxyTextMost {
			return netip.AddrPort{}, proxyFault("longer than %d bytes", proxyTextMost)
		}
		var one [1]byte
		if _, err := io.ReadFull(r, one[:]); err != nil {
			return netip.AddrPort{}, cutShort(err)
		}
		line = append(line, one[0])
	}
	f := strings.Split(strings.TrimSuffix(string(line), "\r\n"), " ")
	if len(f) >= 2 && f[1] == "UNKNOWN" {
		return netip.AddrPort{}, nil
	}
	if len(f) != 6 || f[1] != "TCP4" && f[1] != "TCP6" {
		return netip.AddrPort{}, proxyFault("not TCP4, TCP6 or UNKNOWN with two addresses and two ports")
	}
	from, err := textAddr(f[1], f[2], f[4])
	if err == nil {
		_, err = textAddr(f[1], f[3], f[5])
	}
	return from, err
}

func textAddr(family, ip, port string) (netip.AddrPort, error) {
	a, err := netip.ParseAddrPort(bracketed(ip) + ":" + port)
	if err != nil || a.Addr().Zone() != "" || a.Addr().Is4() != (family == "TCP4") || len(port) > 1 && port[0] == '0' {
		return netip.AddrPort{}, proxyFault("an address is malformed")
	}
	return plain(a), nil
}

func bracketed(ip string) string {
	if strings.Contains(ip, ":") {
		return "[" + ip + "]"
	}
	return ip
}

// readProxyBinary reads what follows the signature of version 2.
func readProxyBinary(r io.Reader) (netip.AddrPort, error) {
	var head [4]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return netip.AddrPort{}, cutShort(err)
	}
	command, family := head[0], head[1]
	size := binary.BigEndian.Uint16(head[2:])
	if size > proxyBodyMost {
		return netip.AddrPort{}, proxyFault("%d bytes are more than %d", size, proxyBodyMost)
	}
	body := make([]byte, size)
	if _, err := io.ReadFull(r, body); err != nil {
		return netip.AddrPort{}, cutShort(err)
	}
	switch command {
	case 0x20: // LOCAL
		return netip.AddrPort{}, nil
	case 0x21: // PROXY
		return binaryAddr(family, body)
	}
	return netip.AddrPort{}, proxyFault("version and command %#x are not known", command)
}

// binaryAddr reads the source of a client that came over TCP; of another one,
// such as a Unix socket's, there is none.
func binaryAddr(family byte, b []byte) (netip.AddrPort, error) {
	size := 0
	switch family {
	case 0x11:
		size = 4
	case 0x21:
		size = 16
	case 0x00, 0x31, 0x32: // not said, and Unix sockets
		return netip.AddrPort{}, nil
	default:
		return netip.AddrPort{}, proxyFault("address family and protocol %#x are not TCP", family)
	}
	if len(b) < 2*size+4 {
		return netip.AddrPort{}, proxyFault("the addresses are cut short")
	}
	ip, _ := netip.AddrFromSlice(b[:size])
	return plain(netip.AddrPortFrom(ip, binary.BigEndian.Uint16(b[2*size:]))), nil
}

// plain takes the wrapping off an IPv4 address in an IPv6 one, so that one
// client has one address.
func plain(a netip.AddrPort) netip.AddrPort { return netip.AddrPortFrom(a.Addr().Unmap(), a.Port()) }

// trusts tells whether a connection comes from a balancer whose word is taken.
func (b *Broker) trusts(host string) bool {
	if len(b.cfg.ProxyFrom) == 0 {
		return false
	}
	ip, err := netip.ParseAddr(host)
	if err != nil {
		return false
	}
	ip = ip.Unmap().WithZone("")
	return slices.ContainsFunc(b.cfg.ProxyFrom, func(p netip.Prefix) bool { return p.Contains(ip) })
}

// introduce reads who the connection is from, which the balancer says.
func (l *link) introduce() error {
	addr := l.addr
	from, err := readProxy(l.raw)
	if err != nil {
		l.lost = errors.Is(err, os.ErrDeadlineExceeded)
		return err
	}
	if from.IsValid() {
		addr = from.String()
	}
	for _, old := range l.b.half.move(l, addr) {
		l.b.evict(old)
	}
	return nil
}
