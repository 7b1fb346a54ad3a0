package leader

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/mdns"

	"github.com/tacet-hub/tacet/broker/area"
)

// Members say on the network where they are, by multicast DNS: a service whose
// instance begins with what the key of the area makes of its name, and whose text
// has device, address and what the key makes of both. Whoever has no key learns
// that there is an area, and can say nothing that counts.
const (
	service     = "_tacet-area._tcp"
	lookTime    = time.Second
	lookEvery   = 30 * time.Second // while somebody is missing
	lookSoon    = 3 * time.Second  // the first times
	soonLooks   = 5
	mostAnswers = 2 * area.MostMembers // of one look; more are not heard
	mostFound   = 4                    // addresses of one member
)

// sighting is where a member was said to be.
type sighting struct {
	device area.DeviceID
	at     string
}

// signText is the text of a member's service.
func signText(key []byte, in area.Name, d area.DeviceID, at string) []string {
	return []string{"d=" + string(d), "a=" + at, "m=" + sign(key, "mdns", string(in), string(d), at)}
}

// readText is the inverse of [signText]; false: whoever said it does not have the
// key.
func readText(fields []string, key []byte, in area.Name) (s sighting, ok bool) {
	var proof string
	for _, f := range fields {
		name, value, _ := strings.Cut(f, "=")
		switch name {
		case "d":
			s.device = area.DeviceID(value)
		case "a":
			s.at = value
		case "m":
			proof = value
		}
	}
	if _, err := netip.ParseAddrPort(s.at); err != nil || !signed(proof, key, "mdns", string(in), string(s.device), s.at) {
		return sighting{}, false
	}
	return s, true
}

// instance names a member's service.
func instance(key []byte, in area.Name, d area.DeviceID) string {
	return areaMark(key, in) + "-" + sign(key, "mdns member", string(d))[:12]
}

func areaMark(key []byte, in area.Name) string { return sign(key, "mdns area", string(in))[:16] }

// announce says where this member is, until the answer is closed.
func announce(self area.DeviceID, p area.Peers, at netip.AddrPort, logger *log.Logger) (*mdns.Server, error) {
	return announceAs(instance(p.Key, p.Area, self), signText(p.Key, p.Area, self, at.String()), at, logger)
}

func announceAs(name string, text []string, at netip.AddrPort, logger *log.Logger) (*mdns.Server, error) {
	zone, err := mdns.NewMDNSService(name, service, "", name+".local.", int(at.Port()), []net.IP{at.Addr().AsSlice()}, text)
	if err != nil {
		return nil, fmt.Errorf("announce at %v: %w", at, err)
	}
	s, err := mdns.NewServer(&mdns.Config{Zone: zone, Iface: ifaceOf(at.Addr()), Logger: logger})
	if err != nil {
		return nil, fmt.Errorf("announce at %v: %w", at, err)
	}
	return s, nil
}

// lookup asks the network where the members of an area are. It blocks for a
// second. strangers is how many answers did not count.
func lookup(ctx context.Context, p area.Peers, at netip.Addr, logger *log.Logger) (found []sighting, strangers uint64, err error) {
	answers := make(chan *mdns.ServiceEntry, mostAnswers)
	err = mdns.QueryContext(ctx, &mdns.QueryParam{Service: service, Timeout: lookTime, Interface: ifaceOf(at), Entries: answers, DisableIPv6: at.Is4(), DisableIPv4: at.Is6(), Logger: logger})
	for {
		select {
		case e := <-answers:
			if !strings.HasPrefix(e.Name, areaMark(p.Key, p.Area)) {
				continue // of another area, or another service
			}
			if s, ok := readText(e.InfoFields, p.Key, p.Area); ok {
				found = append(found, s)
			} else {
				strangers++
			}
		default:
			return found, strangers, err
		}
	}
}

// ifaceOf is the interface that has an address; nil: the system's choice.
func ifaceOf(ip netip.Addr) *net.Interface {
	all, err := net.Interfaces()
	if err != nil {
		return nil
	}
	for _, i := range all {
		addrs, _ := i.Addrs()
		if slices.ContainsFunc(addrs, func(a net.Addr) bool {
			n, ok := a.(*net.IPNet)
			return ok && n.IP.Equal(ip.AsSlice())
		}) {
			return &i
		}
	}
	return nil
}

// discovery announces this member, and looks for those that are missing, until ctx
// ends. Where the network takes no multicast it tries again.
func (s *Seat) discovery(ctx context.Context, p area.Peers, at netip.AddrPort) {
	var server *mdns.Server
	told := false
	defer func() {
		if server != nil {
			_ = server.Shutdown() // it only closes its sockets
		}
	}()
	for n := 0; ; n++ {
		var err1, err2 error
		if server == nil {
			server, err1 = announce(s.cfg.Device, p, at, s.logs)
		}
		if s.lonely.Load() {
			var found []sighting
			var strangers uint64
			found, strangers, err2 = lookup(ctx, p, at.Addr(), s.logs)
			s.count.answers.Add(uint64(len(found)))
			s.count.badAnswers.Add(strangers)
			s.post(func() { s.sighted(found) })
		}
		if err := errors.Join(err1, err2); err != nil && !told && ctx.Err() == nil {
			told = true
			s.Log.Warn("members are not looked for on the network", "area", p.Area, "err", err)
		}
		wait := lookEvery
		if n < soonLooks {
			wait = lookSoon
		}
		if !pause(ctx, wait) {
			return
		}
	}
}

// sighted keeps where members of the roster were said to be.
func (s *Seat) sighted(found []sighting) {
	for _, f := range found {
		_, listed := s.roster.Member(f.device)
		if !listed || f.device == s.cfg.Device || slices.Contains(s.found[f.device], f.at) {
			continue
		}
		list := append([]string{f.at}, s.found[f.device]...)
		s.found[f.device] = list[:min(len(list), mostFound)]
		s.callAt = s.now()
	}
}
