package leader

import (
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/tacet-hub/tacet/broker/area"
)

// DefaultPort is where a membership listens, where the port is free.
const DefaultPort = 7946

// Config says which member this is.
type Config struct {
	Device   area.DeviceID // needed
	MID      string        // machine id; needed
	Priority int           // lower ones lead first
	Dir      string        // where the roster and the highest term are kept; needed
	KeyFile  string        // where the key of the area is kept, apart from the roster; empty: with it
	// Bind is where the membership listens: an address, a port behind a colon, or
	// both. Empty: [DefaultPort], or a free one where it is not, on the address from
	// which the hub is reached.
	Bind string
	// Quiet has nothing announced, and nobody looked for, by multicast DNS.
	Quiet bool
}

// Validate tells everything that is wrong with c at once.
func (c Config) Validate() error {
	var faults []error
	fault := func(bad bool, format string, args ...any) {
		if bad {
			faults = append(faults, fmt.Errorf("leader: "+format, args...))
		}
	}
	fault(!area.IsID(string(c.Device)), "device %q is no id", c.Device)
	fault(c.MID == "" || len(c.MID) > mostMID, "machine id %q is not 1 to %d bytes", c.MID, mostMID)
	fault(c.Priority < -mostPriority || c.Priority > mostPriority, "priority %d is not -%d to %d", c.Priority, mostPriority, mostPriority)
	fault(c.Dir == "", "no directory")
	if _, _, err := ParseBind(c.Bind); err != nil {
		faults = append(faults, fmt.Errorf("leader: %w", err))
	}
	return errors.Join(faults...)
}

const (
	mostMID      = 128
	mostPriority = 100 // as area.Peer
)

// ParseBind reads [Config.Bind]: the address, not valid where it is to be found
// out, and the port, 0 where any will do.
func ParseBind(s string) (ip netip.Addr, port uint16, err error) {
	if s == "" {
		return netip.Addr{}, 0, nil
	}
	if ip, err := netip.ParseAddr(s); err == nil {
		return ip, 0, nil
	}
	text := s
	if text[0] == ':' {
		text = "0.0.0.0" + text
	}
	at, err := netip.ParseAddrPort(text)
	if err != nil {
		return netip.Addr{}, 0, fmt.Errorf("bind %q is no address, :port or address:port", s)
	}
	if s[0] == ':' {
		return netip.Addr{}, at.Port(), nil
	}
	return at.Addr(), at.Port(), nil
}

// Times of the membership, and of the seat. With them a member that has died is
// missed within 3 s, and who leads next is followed within 5 s
// (TestLeaderIsMissedWithinFiveSeconds).
const (
	probeEvery   = 300 * time.Millisecond
	gossipEvery  = 100 * time.Millisecond // what has changed, to three at a time
	probeTimeout = 200 * time.Millisecond
	streamTime   = 2 * time.Second
	syncEvery    = 15 * time.Second
	tellAgain    = 2 * time.Second  // what a leader says of itself, and whoever has changed a while ago
	tellFor      = 10 * time.Second // that while
	joinEvery    = 2 * time.Second  // and up to half as much again
	docEvery     = 10 * time.Second
	keySettles   = 5 * time.Second // the others have the new key by then
	keyLives     = time.Minute     // what is said by the old one is still heard
	readyTime    = 10 * time.Second
	locateEvery  = 10 * time.Second
	askLinger    = 3 * time.Second

	dialEvery = 5 * time.Second // while the hub answers
	dialSoon  = time.Second     // while it may be lost
	dialLost  = 2 * time.Second // while it is
	dialTime  = 2 * time.Second
	lostAfter = 5 * time.Second // COORDINATION.md §4

	inboxLen = 256
)
