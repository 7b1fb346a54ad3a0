package deviced

import (
	"net"
	"net/url"
)

// network is what tells the agent whether there is a network; nil where a hub is
// on this machine, so that none is needed.
func (c Config) network() func() bool {
	for _, h := range c.Hub {
		if u, err := url.Parse(h); err == nil && isLoopback(u.Hostname()) {
			return nil
		}
	}
	return hasNetwork
}

func isLoopback(host string) bool {
	return host == "localhost" || net.ParseIP(host).IsLoopback()
}

// hasNetwork tells whether an interface, beside loopback, has a carrier and an
// address that reaches further than its own wire.
func hasNetwork() bool {
	all, err := net.Interfaces()
	if err != nil {
		return false
	}
	for _, i := range all {
		const works = net.FlagUp | net.FlagRunning
		if i.Flags&net.FlagLoopback != 0 || i.Flags&works != works {
			continue
		}
		addrs, _ := i.Addrs()
		for _, a := range addrs {
			if n, ok := a.(*net.IPNet); ok && n.IP.IsGlobalUnicast() {
				return true
			}
		}
	}
	return false
}
