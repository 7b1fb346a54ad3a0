package broker

import (
	"crypto/tls"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/tacet-hub/tacet/broker/auth"
)

// Config says how a [Broker] listens and what it allows. The zero value is
// good: every field has a default.
type Config struct {
	Addr string // TCP address to listen on; port 0 picks one; empty: 127.0.0.1:1883

	// TLS, on its own listener. TLSAddr is its TCP address, port 0 picks one;
	// empty: none. TLS has the certificate, or a function that gets it, and for
	// mutual TLS ClientCAs and ClientAuth. Versions before 1.2 are refused, but
	// what its GetConfigForClient answers is used as it is.
	TLSAddr string
	TLS     *tls.Config

	// Auth knows who the clients are and what they may do; nil, or one that is
	// open: open mode.
	Auth *auth.Authority

	MaxPacketBytes int // largest packet taken from a client, 1 KiB to 256 MiB; 0: 256 KiB
	MaxOutputBytes int // most that may wait for one client to read, 16 KiB or more; over it the client is cut; 0: 1 MiB

	ConnectTimeout time.Duration // from accept to CONNECT; 0: 10 s
	WriteTimeout   time.Duration // for a client to take up to 64 KiB that wait for it; 0: 10 s

	MaxConnections     int // clients connected at once; a further one is refused as busy; 0: no limit
	MaxHalfOpen        int // connections without CONNECT; at the limit the oldest silent one makes room; 0: 1024
	MaxHalfOpenPerAddr int // the same for one address; 0: 256

	MaxTopicLevels   int // levels of a topic or filter of a client; 0: 16
	MaxTopicBytes    int // length of a topic or filter of a client; 0: 512
	MaxSubscriptions int // filters of one client; a further one is refused; 0: 1000

	// MaxQueue is how many QoS 1 and 2 messages one client may have
	// unacknowledged, or waiting while it is away; a further one is dropped
	// for it, and counted. 1 to 65535; 0: 8192. Below the number of retained
	// topics that a client reads it loses some of them.
	MaxQueue int

	SessionExpiry time.Duration // how long the session of an absent client is kept at most; 0: 7 days
}

// withDefaults fills in what is zero.
func (c Config) withDefaults() Config {
	set(&c.Addr, "127.0.0.1:1883")
	set(&c.MaxPacketBytes, 256<<10)
	set(&c.MaxOutputBytes, 1<<20)
	set(&c.ConnectTimeout, 10*time.Second)
	set(&c.WriteTimeout, 10*time.Second)
	set(&c.MaxConnections, math.MaxInt32)
	set(&c.MaxHalfOpen, 1024)
	set(&c.MaxHalfOpenPerAddr, 256)
	set(&c.MaxTopicLevels, 16)
	set(&c.MaxTopicBytes, 512)
	set(&c.MaxSubscriptions, 1000)
	set(&c.MaxQueue, 8192)
	set(&c.SessionExpiry, 7*24*time.Hour)
	return c
}

func set[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

// Validate reports every field that is out of range, zero meaning its default.
func (c Config) Validate() error {
	c = c.withDefaults()
	var faults []error
	in := func(name string, v, least, most int) {
		if v < least || v > most {
			faults = append(faults, fmt.Errorf("%s %d is not %d to %d", name, v, least, most))
		}
	}
	in("MaxPacketBytes", c.MaxPacketBytes, 1<<10, 256<<20)
	in("MaxOutputBytes", c.MaxOutputBytes, 16<<10, 1<<30)
	in("MaxConnections", c.MaxConnections, 1, math.MaxInt32)
	in("MaxHalfOpen", c.MaxHalfOpen, 1, 1<<20)
	in("MaxHalfOpenPerAddr", c.MaxHalfOpenPerAddr, 1, 1<<20)
	in("MaxTopicLevels", c.MaxTopicLevels, 6, 128) // ours have six; beyond 128 the library's tree grows slow (row 23)
	in("MaxTopicBytes", c.MaxTopicBytes, 64, 65535)
	in("MaxSubscriptions", c.MaxSubscriptions, 1, 1<<20)
	in("MaxQueue", c.MaxQueue, 1, math.MaxUint16)
	if t := c.TLS; c.TLSAddr != "" && (t == nil || len(t.Certificates) == 0 && t.GetCertificate == nil && t.GetConfigForClient == nil) {
		faults = append(faults, errors.New("TLSAddr is set, and TLS has no certificate"))
	}
	positive := func(name string, d, most time.Duration) {
		if d <= 0 || d > most {
			faults = append(faults, fmt.Errorf("%s %s is not more than 0 and at most %s", name, d, most))
		}
	}
	positive("ConnectTimeout", c.ConnectTimeout, 10*time.Minute)
	positive("WriteTimeout", c.WriteTimeout, 10*time.Minute)
	positive("SessionExpiry", c.SessionExpiry, 10*365*24*time.Hour)
	return errors.Join(faults...)
}
