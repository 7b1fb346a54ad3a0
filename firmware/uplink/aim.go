package uplink

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"slices"
)

// Target is where a [Client] connects, and as whom.
type Target struct {
	Hubs     []string // as in Config; needed
	Username string   // empty: none
	Password string   // used with Username alone
	Via      string   // who carries the connection, for the log; empty: nobody

	// Open makes the bare connection to a hub where it is not the network's: TLS is
	// laid over it as the address says, so that who carries it cannot read it. The
	// addresses are mqtt:// and mqtts:// then. Two targets that differ in Open
	// alone count as one.
	Open func(ctx context.Context, hub *url.URL) (net.Conn, error)
}

// Validate tells everything that is wrong with t at once.
func (t Target) Validate() error {
	var faults []error
	if len(t.Hubs) == 0 {
		faults = append(faults, errors.New("uplink: no hub"))
	}
	for _, h := range t.Hubs {
		u, err := ParseHub(h)
		if err != nil {
			faults = append(faults, err)
		} else if t.Open != nil && u.Scheme != "mqtt" && u.Scheme != "mqtts" {
			faults = append(faults, fmt.Errorf("uplink: hub %q cannot be reached through somebody else", h))
		}
	}
	return errors.Join(faults...)
}

// Same tells whether t and o are the same target.
func (t Target) Same(o Target) bool {
	return slices.Equal(t.Hubs, o.Hubs) && t.Username == o.Username && t.Password == o.Password && t.Via == o.Via
}

// course is a target with its addresses read, and which of them is next.
type course struct {
	Target
	hubs []*url.URL
	next int
}

func newCourse(t Target) (*course, error) {
	if err := t.Validate(); err != nil {
		return nil, err
	}
	c := &course{Target: t}
	for _, h := range t.Hubs {
		u, _ := ParseHub(h) // Validate has
		c.hubs = append(c.hubs, u)
	}
	return c, nil
}

// hub is the address to be tried now; each call gives the next one.
func (c *course) hub() *url.URL {
	h := c.hubs[c.next%len(c.hubs)]
	c.next++
	return h
}

// Home is the target of the configuration.
func (c *Client) Home() Target {
	return Target{Hubs: c.cfg.Hubs, Username: c.cfg.Username, Password: c.cfg.Password}
}

// Aim has the client connect to another target: it drops the connection, as
// [Client.Drop] does, and makes the next one there, after 200 ms to 400 ms.
// Aimed where it is aimed already it does nothing. It does not block; its error
// says that t is not valid, and changes nothing.
func (c *Client) Aim(t Target) error {
	next, err := newCourse(t)
	if err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.course.Same(t) {
		return nil
	}
	c.course = next
	c.count.aims.Add(1)
	c.drop()
	if c.abandon != nil {
		c.abandon()
	}
	return nil
}

// Aimed is the target that the client connects to.
func (c *Client) Aimed() Target {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.course.Target
}

// At is the target of the connection that stands; false: none does.
func (c *Client) At() (Target, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.online {
		return Target{}, false
	}
	return c.at, true
}

// begin tells the target of the next attempt. abandon ends the attempt, and the
// wait after it, when the client is aimed elsewhere.
func (c *Client) begin(abandon context.CancelFunc) (to Target, hub *url.URL) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.abandon = abandon
	return c.course.Target, c.course.hub()
}
