package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"
	"github.com/insomniacslk/dhcp/dhcpv4/nclient4"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// Times of the network.
const (
	lookAgain = 2 * time.Second // for networks that were plugged in
	dhcpTime  = 3 * time.Second // that a server has, three times
	dhcpPause = 5 * time.Second
	leastT1   = 30 * time.Second
)

// network brings up each wired network, and keeps its address.
type network struct {
	clock *clock
}

// run looks for networks until ctx ends.
func (n network) run(ctx context.Context) {
	if lo, err := netlink.LinkByName("lo"); err == nil {
		_ = netlink.LinkSetUp(lo)
	}
	known := map[string]bool{}
	for ctx.Err() == nil {
		for _, link := range wired() {
			name := link.Attrs().Name
			if known[name] {
				continue
			}
			if err := netlink.LinkSetUp(link); err != nil {
				say("%s cannot be brought up: %v", name, err)
				continue
			}
			known[name] = true
			go n.keep(ctx, name, 100+len(known)) // ends with ctx, as the machine does
		}
		select {
		case <-time.After(lookAgain):
		case <-ctx.Done():
		}
	}
}

// wired are the Ethernet interfaces.
func wired() []netlink.Link {
	links, err := netlink.LinkList()
	if err != nil {
		say("networks cannot be listed: %v", err)
		return nil
	}
	var found []netlink.Link
	for _, l := range links {
		a := l.Attrs()
		if a.Flags&net.FlagLoopback == 0 && len(a.HardwareAddr) == 6 && l.Type() == "device" && !exists("/sys/class/net/"+a.Name+"/phy80211") {
			found = append(found, l)
		}
	}
	return found
}

// keep holds an address of a network: asks for one, renews it at half of its
// time, and asks anew when it has run out. Where the cable is out it waits.
func (n network) keep(ctx context.Context, name string, metric int) {
	for ctx.Err() == nil {
		err := n.hold(ctx, name, metric)
		if err != nil && ctx.Err() == nil && carrier(name) {
			say("%s has no address: %v", name, err)
		}
		select {
		case <-time.After(dhcpPause):
		case <-ctx.Done():
		}
	}
}

func carrier(name string) bool { return readText("/sys/class/net/"+name+"/carrier") == "1" }

// hold asks for an address and keeps it as long as it is renewed.
func (n network) hold(ctx context.Context, name string, metric int) error {
	if !carrier(name) {
		return errors.New("no cable")
	}
	client, err := nclient4.New(name, nclient4.WithTimeout(dhcpTime), nclient4.WithRetry(2))
	if err != nil {
		return err
	}
	defer client.Close()
	wishes := []dhcpv4.Modifier{
		dhcpv4.WithOption(dhcpv4.OptHostName(hostName(name))),
		dhcpv4.WithRequestedOptions(dhcpv4.OptionSubnetMask, dhcpv4.OptionRouter, dhcpv4.OptionDomainName, dhcpv4.OptionDomainNameServer, dhcpv4.OptionNTPServers),
	}
	lease, err := client.Request(ctx, wishes...)
	if err != nil {
		return err
	}
	for {
		l := parseLease(lease.ACK)
		if err := n.apply(name, metric, l); err != nil {
			return err
		}
		now, until := time.Now(), time.Now().Add(l.time)
		for {
			select {
			case <-time.After(max(l.time/2-time.Since(now), leastT1)):
			case <-ctx.Done():
				return nil
			}
			renewed, err := client.Renew(ctx, lease, wishes...)
			if err == nil {
				lease = renewed
				break
			}
			if refused := (*nclient4.ErrNak)(nil); errors.As(err, &refused) || time.Now().After(until) {
				return errors.Join(err, flush(name))
			}
			now = time.Now().Add(leastT1 - l.time/2) // again soon
		}
	}
}

// lease is what a network told.
type lease struct {
	addr   net.IPNet
	router net.IP // nil: none
	dns    []string
	domain string
	ntp    []string
	time   time.Duration
}

func parseLease(ack *dhcpv4.DHCPv4) lease {
	l := lease{addr: net.IPNet{IP: ack.YourIPAddr, Mask: ack.SubnetMask()}, domain: ack.DomainName(), time: ack.IPAddressLeaseTime(time.Hour)}
	if l.addr.Mask == nil {
		l.addr.Mask = l.addr.IP.DefaultMask()
	}
	if r := ack.Router(); len(r) > 0 {
		l.router = r[0]
	}
	for _, ip := range ack.DNS() {
		l.dns = append(l.dns, ip.String())
	}
	for _, ip := range ack.NTPServers() {
		l.ntp = append(l.ntp, ip.String())
	}
	l.ntp = hosts(l.ntp)
	return l
}

// apply gives the interface its address and the machine its ways.
func (n network) apply(name string, metric int, l lease) error {
	link, err := netlink.LinkByName(name)
	if err != nil {
		return err
	}
	have, err := netlink.AddrList(link, netlink.FAMILY_V4)
	if err != nil {
		return err
	}
	same := false
	for _, a := range have {
		if a.IPNet.String() == l.addr.String() {
			same = true
		} else if err := netlink.AddrDel(link, &a); err != nil {
			return err
		}
	}
	if err := netlink.AddrReplace(link, &netlink.Addr{IPNet: &l.addr, ValidLft: int(l.time.Seconds()), PreferedLft: int(l.time.Seconds())}); err != nil {
		return fmt.Errorf("address %s: %w", &l.addr, err)
	}
	if l.router != nil {
		route := netlink.Route{LinkIndex: link.Attrs().Index, Gw: l.router, Priority: metric, Protocol: unix.RTPROT_DHCP}
		if err := netlink.RouteReplace(&route); err != nil {
			return fmt.Errorf("router %s: %w", l.router, err)
		}
	}
	if len(l.dns) > 0 {
		if err := os.WriteFile("/etc/resolv.conf", []byte(resolvConf(l)), 0o644); err != nil {
			return err
		}
	}
	n.clock.ask(l.ntp)
	if !same {
		_ = unix.Sethostname([]byte(hostName(name)))
		say("%s has the address %s of the router %v", name, &l.addr, l.router)
	}
	return nil
}

func resolvConf(l lease) string {
	var b strings.Builder
	if l.domain != "" {
		fmt.Fprintf(&b, "search %s\n", l.domain)
	}
	for _, s := range l.dns {
		fmt.Fprintf(&b, "nameserver %s\n", s)
	}
	return b.String()
}

// flush takes an interface's addresses away.
func flush(name string) error {
	link, err := netlink.LinkByName(name)
	if err != nil {
		return err
	}
	have, err := netlink.AddrList(link, netlink.FAMILY_V4)
	for _, a := range have {
		err = errors.Join(err, netlink.AddrDel(link, &a))
	}
	return err
}

// hostName is what a router's list of devices shows: the end of the address on
// the board's label.
func hostName(name string) string {
	mac := strings.ReplaceAll(readText("/sys/class/net/"+name+"/address"), ":", "")
	return "tacet-" + mac[max(0, len(mac)-6):]
}
