package host

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"time"

	"context"
	"github.com/tacet-hub/tacet/broker"
	"github.com/tacet-hub/tacet/broker/arbiter"
	"github.com/tacet-hub/tacet/broker/area"
	"github.com/tacet-hub/tacet/broker/auth"
	"github.com/tacet-hub/tacet/broker/order"
)

// Config says whose host it is, and where it listens.
type Config struct {
	Device area.DeviceID // needed
	Dir    string        // what it keeps; needed
	Listen string        // of the broker; a port that is taken, or 0: any free one; empty: :1883
	Web    string        // of the web listener, as Listen; empty: :8080
}

const (
	defaultListen = ":1883"
	defaultWeb    = ":8080"

	mostLive = 1000 // orders of its own without an end
	keptOwn  = 2000 // and with one
	mostHub  = 4096 // works of the hub without an end

	lineInbox   = 1024
	mostRecords = 4096
	window      = 64 // of what waits in the outbox: said again each second

	recordBytes = 512 << 10 // a file of the record of what sounded
	recordFiles = 4
)

// Validate tells everything that is wrong with c at once.
func (c Config) Validate() error {
	var faults []error
	if !area.IsID(string(c.Device)) {
		faults = append(faults, fmt.Errorf("leader: device %q is no id", c.Device))
	}
	if c.Dir == "" {
		faults = append(faults, errors.New("leader: there is no directory"))
	}
	for name, addr := range map[string]string{"listen": c.Listen, "web": c.Web} {
		if _, _, err := net.SplitHostPort(addr); addr != "" && err != nil {
			faults = append(faults, fmt.Errorf("leader: %s %q is not host:port", name, addr))
		}
	}
	return errors.Join(faults...)
}

// Link is the device's second connection to the hub; package trunk has one. Its
// methods are safe for concurrent use and do not block.
type Link interface {
	Want(why string, wanted bool)
	Up() bool
	Send(t area.Trunk) error
	Watch(heard func(area.Trunk), changed func(up bool)) (cancel func())
	Documents(heard func(payload []byte)) (cancel func(), err error)
}

// Inside is a reign as its web side sees it.
type Inside struct {
	Node    string // name of the device
	Area    area.Name
	Broker  *broker.Broker
	Arbiter *arbiter.Service
	Roster  *arbiter.Roster
	Orders  *order.Service
	Auth    *auth.Authority // open where the hub is
}

// Parts is what a host works with. All but Web are needed.
type Parts struct {
	Link     Link
	Renderer order.Renderer
	// Web makes what serves the web listener of a reign: it runs until its context
	// ends, and closes the listener. nil: there is none.
	Web   func(l net.Listener, in Inside) (run func(context.Context) error, err error)
	Clock func() area.Instant // monotonic
	Now   func() time.Time
	Log   *slog.Logger
}

// limits are those of a broker on a Pi.
func limits(addr string, who *auth.Authority) broker.Config {
	return broker.Config{
		Addr: addr, Auth: who,
		MaxConnections: 256, MaxPerAddr: 128, MaxSessions: 512, MaxHalfOpen: 64, MaxHalfOpenPerAddr: 32,
		MaxOutputBytes: 256 << 10, MaxSubscriptions: 100, MaxRate: 500,
		MaxRetained: 1000, MaxRetainedBytes: 2 << 20, MaxRetainedTotal: 16 << 20,
		MaxQueue: 512, MaxQueueBytes: 1 << 20, SessionExpiry: time.Hour,
	}
}
