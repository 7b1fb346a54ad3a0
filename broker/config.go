package broker

import (
	"crypto/tls"
	"errors"
	"fmt"
	"math"
	"net/netip"
	"time"

	"github.com/tacet-hub/tacet/broker/auth"
	"github.com/tacet-hub/tacet/broker/relay"
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

	// Store keeps retained messages, and sessions that outlive their
	// connections, over the end of the process: see "Durability" in the package
	// comment. It belongs to this broker alone and is closed after Run has
	// returned. Nil: memory only.
	Store Store

	// Relay carries messages to the brokers of the hub's other nodes, and brings
	// theirs. It belongs to this broker alone; somebody else runs it. Nil: this one is
	// the whole hub.
	Relay *relay.Relay

	// Estates are the sessions that other nodes leave behind when they are down, which
	// this one takes over: see "Several nodes" in the package comment. It needs Relay.
	// Nil: such a session begins anew.
	Estates Estates

	// ProxyFrom are the networks of the load balancers that are believed: their
	// connections to the broker's own listeners must begin with a PROXY header,
	// version 1 or 2, whose address is then the client's for limits and logs. A
	// malformed one, or none, closes the connection. Empty: nobody is believed.
	ProxyFrom []netip.Prefix

	MaxConnectBytes int // largest CONNECT, its will included, 1 KiB to MaxPacketBytes; 0: 16 KiB, or MaxPacketBytes if that is less
	MaxPacketBytes  int // largest packet taken from a client, 1 KiB to 256 MiB; 0: 256 KiB
	MaxOutputBytes  int // most that may wait for one client to read, 16 KiB or more; over it the client is cut; 0: 1 MiB

	ConnectTimeout time.Duration // from accept to CONNECT; 0: 10 s
	WriteTimeout   time.Duration // for a client to take up to 64 KiB that wait for it; 0: 10 s

	// Connections. A client over one of the limits is refused with reason 0x89
	// (busy) or 0x97 (quota exceeded), or code 3 in 3.1.1; one that takes its own
	// session over is always let in. What the process may have in descriptors
	// bounds the defaults.
	MaxConnections     int // clients connected at once; 0: 50,000, or three quarters of the descriptors
	MaxPerAddr         int // the same from one address; 0: half of MaxConnections
	MaxSessions        int // sessions, those of absent clients included; 0: 100,000
	MaxHalfOpen        int // connections without a session; at the limit the oldest silent one makes room; 0: 1024, or an eighth of the descriptors
	MaxHalfOpenPerAddr int // the same for one address; 0: a quarter of MaxHalfOpen, and at least 16 of them

	MaxTopicLevels   int // levels of a topic or filter of a client; 0: 16
	MaxTopicBytes    int // length of a topic or filter of a client, with a Store at most 30,000; 0: 512
	MaxSubscriptions int // filters of one client; a further one is refused; 0: 1000

	// DenyFilters are filters that no client may subscribe to as they stand here,
	// alone or shared: such as "#", where nobody is to read everything. The answer
	// is 0x80. What a client may read is for Auth to say; this is not about topics.
	DenyFilters []string

	// Retained messages. Bytes are those of topic, payload and properties. One
	// client is one principal where clients show who they are, else one client
	// id. What is over a limit is refused: with reason 0x97 (quota exceeded) in
	// MQTT 5; in 3.1.1, which has no such answer, it is acknowledged, dropped and
	// counted. What takes the place of as much is always taken.
	MaxRetained      int   // topics of one client; 0: 100,000
	MaxRetainedBytes int64 // of one client; 0: 64 MiB
	MaxRetainedTotal int64 // bytes of all, and 2 KiB for each beside, the hub's included, which is never refused; 0: 256 MiB

	// MaxRate is how many packets (PUBLISH, SUBSCRIBE, UNSUBSCRIBE, PINGREQ) one
	// client may send in a second, 10 or more, and as many at once after a pause.
	// A client that sends more is read more slowly: nothing is lost. 0: no limit.
	MaxRate int

	// MaxQueueBytes bounds the bytes of what MaxQueue bounds the number of: topic,
	// payload and properties; over it the newest is dropped and counted. 64 KiB or
	// more; 0: 64 MiB.
	MaxQueueBytes int64

	// MaxQueue is how many QoS 1 and 2 messages one client may have
	// unacknowledged, or waiting while it is away; a further one is dropped
	// for it, and counted. 1 to 65535; 0: 8192.
	MaxQueue int

	// MaxKeepAlive is the longest keep-alive, in whole seconds, 1 s to 65,535 s. A
	// client of MQTT 5 that asks for more, or for none, is told this one. 0: 20
	// minutes.
	MaxKeepAlive time.Duration

	SessionExpiry time.Duration // how long the session of an absent client is kept at most; 0: 7 days
}

// withDefaults fills in what is zero.
func (c Config) withDefaults() Config {
	set(&c.Addr, "127.0.0.1:1883")
	set(&c.MaxPacketBytes, 256<<10)
	set(&c.MaxConnectBytes, min(16<<10, c.MaxPacketBytes))
	set(&c.MaxOutputBytes, 1<<20)
	set(&c.ConnectTimeout, 10*time.Second)
	set(&c.WriteTimeout, 10*time.Second)
	files := Descriptors()
	set(&c.MaxConnections, max(8, min(50_000, files/4*3)))
	set(&c.MaxPerAddr, max(1, c.MaxConnections/2))
	set(&c.MaxSessions, 100_000)
	set(&c.MaxHalfOpen, max(8, min(1024, files/8)))
	set(&c.MaxHalfOpenPerAddr, min(c.MaxHalfOpen, max(16, c.MaxHalfOpen/4)))
	set(&c.MaxTopicLevels, 16)
	set(&c.MaxTopicBytes, 512)
	set(&c.MaxSubscriptions, 1000)
	set(&c.MaxRetained, 100_000)
	set(&c.MaxRetainedBytes, 64<<20)
	set(&c.MaxRetainedTotal, 256<<20)
	set(&c.MaxQueue, 8192)
	set(&c.MaxQueueBytes, 64<<20)
	set(&c.MaxKeepAlive, 20*time.Minute)
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
	in("MaxConnectBytes", c.MaxConnectBytes, 1<<10, c.MaxPacketBytes)
	in("MaxPacketBytes", c.MaxPacketBytes, 1<<10, 256<<20)
	in("MaxOutputBytes", c.MaxOutputBytes, 16<<10, 1<<30)
	in("MaxConnections", c.MaxConnections, 1, math.MaxInt32)
	in("MaxPerAddr", c.MaxPerAddr, 1, math.MaxInt32)
	in("MaxSessions", c.MaxSessions, 1, math.MaxInt32)
	in("MaxHalfOpen", c.MaxHalfOpen, 1, 1<<20)
	in("MaxHalfOpenPerAddr", c.MaxHalfOpenPerAddr, 1, 1<<20)
	in("MaxTopicLevels", c.MaxTopicLevels, 6, 128) // ours have six; beyond 128 the library's tree grows slow (row 23)
	in("MaxTopicBytes", c.MaxTopicBytes, 64, 65535)
	if c.Store != nil {
		in("MaxTopicBytes with a Store", c.MaxTopicBytes, 64, maxStoredTopic)
	}
	in("MaxSubscriptions", c.MaxSubscriptions, 1, 1<<20)
	in("MaxQueue", c.MaxQueue, 1, math.MaxUint16)
	in("MaxRetained", c.MaxRetained, 1, math.MaxInt32)
	if c.MaxRate != 0 {
		in("MaxRate", c.MaxRate, 10, math.MaxInt32)
	}
	atLeast := func(name string, v, least int64) {
		if v < least {
			faults = append(faults, fmt.Errorf("%s %d is not %d or more", name, v, least))
		}
	}
	atLeast("MaxRetainedBytes", c.MaxRetainedBytes, 1)
	atLeast("MaxRetainedTotal", c.MaxRetainedTotal, 1)
	atLeast("MaxQueueBytes", c.MaxQueueBytes, 64<<10)
	for i, p := range c.ProxyFrom {
		if !p.IsValid() {
			faults = append(faults, fmt.Errorf("ProxyFrom[%d] is no network", i))
		}
	}
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
	positive("MaxKeepAlive", c.MaxKeepAlive, math.MaxUint16*time.Second)
	positive("SessionExpiry", c.SessionExpiry, 10*365*24*time.Hour)
	return errors.Join(faults...)
}
