package external

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/url"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Server says where an outside broker is, and who we are there.
type Server struct {
	URL      string      // mqtt://host[:1883] or mqtts://host[:8883]
	Username string      // empty: none
	Password string      // never logged
	ClientID string      // ours alone: the broker keeps our session under it
	TLS      *tls.Config // of mqtts; nil: the system's authorities
}

// Validate reports everything that is wrong with s.
func (s Server) Validate() error {
	var faults []error
	if _, err := s.address(); err != nil {
		faults = append(faults, err)
	}
	if s.ClientID == "" || len(s.ClientID) > 128 {
		faults = append(faults, errors.New("a client id of 1 to 128 bytes is needed"))
	}
	if s.Password != "" && s.Username == "" {
		faults = append(faults, errors.New("a password needs a user name"))
	}
	return errors.Join(faults...)
}

// Address is host:port of a broker's URL, and whether it is spoken to by TLS.
func Address(text string) (addr string, secure bool, err error) {
	u, err := url.Parse(text)
	if err != nil || u.Hostname() == "" || u.User != nil || u.RawQuery != "" || u.Path != "" && u.Path != "/" {
		return "", false, fmt.Errorf("%q is not a broker's address such as mqtt://broker:1883", text)
	}
	port := u.Port()
	switch u.Scheme {
	case "mqtt":
		if port == "" {
			port = "1883"
		}
	case "mqtts":
		secure = true
		if port == "" {
			port = "8883"
		}
	default:
		return "", false, fmt.Errorf("%q begins with neither mqtt:// nor mqtts://", text)
	}
	return net.JoinHostPort(u.Hostname(), port), secure, nil
}

func (s Server) address() (string, error) {
	addr, _, err := Address(s.URL)
	return addr, err
}

// socket is a connection that notes when something came, and how it began. The
// library writes to it from several goroutines, a packet in several pieces: it
// takes the lock.
type socket struct {
	net.Conn
	sync.Mutex
	heard *atomic.Int64 // Unix nanoseconds

	begins sync.Mutex // guards said
	said   []byte     // the first bytes that came, saidMost at most
}

// saidMost is how many bytes tell a CONNACK of MQTT 3.1.1 from one of MQTT 5.
const saidMost = 4

func (s *socket) Read(p []byte) (int, error) {
	n, err := s.Conn.Read(p)
	if n > 0 {
		s.heard.Store(time.Now().UnixNano())
		s.begins.Lock()
		s.said = append(s.said, p[:min(n, saidMost-len(s.said))]...)
		s.begins.Unlock()
	}
	return n, err
}

// beginning is the first bytes that came.
func (s *socket) beginning() []byte {
	s.begins.Lock()
	defer s.begins.Unlock()
	return slices.Clone(s.said)
}

// dial opens a connection to the broker.
func (s Server) dial(ctx context.Context, heard *atomic.Int64) (*socket, error) {
	addr, secure, err := Address(s.URL)
	if err != nil {
		return nil, err
	}
	var conn net.Conn
	d := net.Dialer{}
	if secure {
		cfg := s.TLS.Clone()
		if cfg == nil {
			cfg = &tls.Config{MinVersion: tls.VersionTLS12}
		}
		conn, err = (&tls.Dialer{NetDialer: &d, Config: cfg}).DialContext(ctx, "tcp", addr)
	} else {
		conn, err = d.DialContext(ctx, "tcp", addr)
	}
	if err != nil {
		return nil, err
	}
	return &socket{Conn: conn, heard: heard}, nil
}
