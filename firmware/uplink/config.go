package uplink

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/url"
	"time"
)

// Config says where the hub is and who the device is.
type Config struct {
	Hubs      []string      // mqtt://, mqtts://, ws:// or wss://, tried in turn; needed
	ClientID  string        // MQTT client identifier; needed
	Username  string        // empty: none
	Password  string        // used with Username alone
	KeepAlive time.Duration // 0: 10 s; whole seconds
	TLS       *tls.Config   // of mqtts and wss, which must verify; at least TLS 1.2 is spoken; nil: the system's roots

	// Dial makes a connection; nil: the network's. Tests give a pipe.
	Dial func(ctx context.Context, hub *url.URL) (net.Conn, error)
}

const (
	defaultKeepAlive = 10 * time.Second // COORDINATION.md §3.6
	connectTime      = 5 * time.Second
	writeTime        = 2 * time.Second // a socket that takes nothing for so long is dead
	queueLen         = 256
)

// Validate tells everything that is wrong with c at once.
func (c Config) Validate() error {
	var faults []error
	if len(c.Hubs) == 0 {
		faults = append(faults, errors.New("uplink: no hub"))
	}
	for _, h := range c.Hubs {
		if _, err := ParseHub(h); err != nil {
			faults = append(faults, err)
		}
	}
	if c.ClientID == "" {
		faults = append(faults, errors.New("uplink: no client id"))
	}
	if c.TLS != nil && c.TLS.InsecureSkipVerify {
		faults = append(faults, errors.New("uplink: the hub's certificate is always verified"))
	}
	if c.KeepAlive < 0 || c.KeepAlive%time.Second != 0 {
		faults = append(faults, fmt.Errorf("uplink: keep alive %v is not whole seconds", c.KeepAlive))
	}
	return errors.Join(faults...)
}

// ParseHub reads the address of a hub and fills in the port (1883, 8883, 80 or
// 443) and, for MQTT over WebSocket, the path /mqtt.
func ParseHub(s string) (*url.URL, error) {
	u, err := url.Parse(s)
	if err != nil {
		return nil, fmt.Errorf("uplink: hub %q is not an address such as mqtt://hub.local", s)
	}
	ports := map[string]string{"mqtt": "1883", "mqtts": "8883", "ws": "80", "wss": "443"}
	port, known := ports[u.Scheme]
	if !known || u.Hostname() == "" {
		return nil, fmt.Errorf("uplink: hub %q does not begin with mqtt://, mqtts://, ws:// or wss:// and a host", s)
	}
	if u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return nil, fmt.Errorf("uplink: hub %q has more than a host, a port and a path", u.Redacted())
	}
	web := u.Scheme == "ws" || u.Scheme == "wss"
	if !web && u.Path != "" && u.Path != "/" {
		return nil, fmt.Errorf("uplink: hub %q has a path", s)
	}
	switch {
	case !web:
		u.Path = ""
	case u.Path == "" || u.Path == "/":
		u.Path = "/mqtt"
	}
	if u.Port() == "" {
		u.Host = net.JoinHostPort(u.Hostname(), port)
	}
	return u, nil
}
