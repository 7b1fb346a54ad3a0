package deviced

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"path/filepath"
	"strings"

	"github.com/tacet-hub/tacet/firmware/fetch"
	"github.com/tacet-hub/tacet/firmware/leader"
	"github.com/tacet-hub/tacet/firmware/uplink"
)

// Clips is what is kept of sound files that came from the hub, or a neighbour.
type Clips struct {
	CacheBytes int64  `yaml:"cache_bytes"` // 1048576 or more
	Share      bool   `yaml:"share"`       // with the other members of the area, unless peers is off
	Listen     string `yaml:"listen"`      // where they are given: :port or address:port; empty: port 7947 where it is free, else any, on the address of the membership
}

const (
	defaultCache = 256 << 20
	leastCache   = 1 << 20
)

// checkWeb tells what is wrong with the address of the hub's web listener; empty:
// nothing.
func (c Config) checkWeb() string {
	if c.Web == "" {
		return ""
	}
	u, err := url.Parse(c.Web)
	switch {
	case err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "":
		return fmt.Sprintf("%q is not an address such as https://hub.local:8080", c.Web)
	case u.User != nil || u.RawQuery != "" || u.Fragment != "":
		return "it has more than a host, a port and a path"
	}
	return ""
}

// way is one to a web listener that is not the network's; its answer is nil where
// there is none.
type way = func(ctx context.Context, addr string) (net.Conn, error)

// through is the way to the hub's web listener through a neighbour, while the device
// does not reach the hub itself and the neighbour does.
func (d *Device) through(ctx context.Context, addr string) (net.Conn, error) {
	if d.place == nil || d.agent == nil || addr != leader.WebHost(d.agent.Web()) {
		return nil, nil
	}
	return d.place.seat.DialWeb(ctx)
}

// fetcher is the cache of clips, which signs in at the hub as the device does over
// MQTT.
func (c Config) fetcher(u uplink.Config, near fetch.Near, through way, log *slog.Logger) (*fetch.Cache, error) {
	web := fetch.NewWeb(fetch.WebConfig{Name: u.Username, Secret: u.Password, TLS: u.TLS, Plain: c.plain(), Through: through})
	return fetch.Open(fetch.Config{Dir: c.clipsDir(), MaxBytes: c.Clips.CacheBytes, Near: near, Log: log}, web)
}

func (c Config) clipsDir() string { return filepath.Join(c.dataDir(), "clips") }

// Clips counts what was fetched.
func (d *Device) Clips() fetch.Stats { return d.clips.Stats() }

// plain tells whether the device's secret goes over the network in the clear
// anyway: MQTT does, or the operator says where the web listener is.
func (c Config) plain() bool {
	if c.Web != "" {
		return true
	}
	for _, h := range c.Hub {
		if strings.HasPrefix(h, "mqtts:") || strings.HasPrefix(h, "wss:") {
			return false
		}
	}
	return true
}
