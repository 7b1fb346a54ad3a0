package broker_test

import (
	"crypto/tls"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/mochi-mqtt/server/v2/packets"

	"github.com/tacet-hub/tacet/broker"
	"github.com/tacet-hub/tacet/broker/auth"
	"github.com/tacet-hub/tacet/broker/brokertest"
)

func TestSignIn(t *testing.T) {
	for name, c := range map[string]struct {
		id     string
		change []func(*packets.Packet)
		v3, v5 byte
	}{
		"device":                {"gate-1", []func(*packets.Packet){as("gate-1")}, 0, 0},
		"device, second client": {"gate-1:2", []func(*packets.Packet){as("gate-1")}, 0, 0},
		"user":                  {"ann", []func(*packets.Packet){as("ann")}, 0, 0},
		"user, second client":   {"ann:laptop", []func(*packets.Packet){as("ann")}, 0, 0},
		"no client id":          {"", []func(*packets.Packet){as("ann")}, 0, 0},
		"nobody":                {"gate-1", nil, 4, 0x86},
		"wrong password":        {"gate-1", []func(*packets.Packet){login("gate-1", "guess")}, 4, 0x86},
		"unknown":               {"bob", []func(*packets.Packet){as("bob")}, 4, 0x86},
		"a JWT of nobody":       {"ann", []func(*packets.Packet){login("ann", "eyJhbGciOiJub25lIn0.e30.")}, 4, 0x86},
		"client id of another":  {"gate-2", []func(*packets.Packet){as("gate-1")}, 2, 0x85},
		"longer client id":      {"gate-12", []func(*packets.Packet){as("gate-1")}, 2, 0x85},
		"of another tenant":     {"@acme/gate-1", []func(*packets.Packet){as("gate-1")}, 2, 0x85},
		"reserved":              {"tacet-hub", []func(*packets.Packet){as("gate-1")}, 2, 0x85},
		"own will":              {"gate-1", []func(*packets.Packet){as("gate-1"), withWill("tacet/device/gate-1/status", "gone", true)}, 0, 0},
		"will of another":       {"gate-1", []func(*packets.Packet){as("gate-1"), withWill("tacet/device/gate-2/status", "gone", true)}, 5, 0x87},
		"will for the hub":      {"gate-1", []func(*packets.Packet){as("gate-1"), withWill("tacet/area/north/busy", "{}", true)}, 5, 0x87},
		"will with wildcard":    {"gate-1", []func(*packets.Packet){as("gate-1"), withWill("tacet/device/gate-1/#", "x", true)}, 5, 0x90},
		"will in a tenant":      {"gate-1", []func(*packets.Packet){as("gate-1"), withWill("@acme/x", "x", true)}, 5, 0x87},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := brokertest.New(t, withAuth(authority(t, people())))
				for version, want := range map[byte]byte{4: c.v3, 5: c.v5} {
					r := newRaw(t, b.Pipe(t), version)
					ack := r.connect(c.id, c.change...)
					if ack.ReasonCode != want {
						t.Errorf("v%d: CONNACK %#x, want %#x", version, ack.ReasonCode, want)
					}
					if version == 5 && c.id == "" && !strings.HasPrefix(ack.Properties.AssignedClientID, "ann:") {
						t.Errorf("assigned %q", ack.Properties.AssignedClientID)
					}
					if want != 0 {
						r.closed()
					}
				}
			})
		})
	}
}

// TestSignInByJWT: a token takes the place of the password.
func TestSignInByJWT(t *testing.T) {
	cfg := people()
	key := []byte(strings.Repeat("k", 32))
	cfg.Issuers = []auth.Issuer{{Issuer: "us", Secret: key}}
	b := brokertest.New(t, withAuth(authority(t, cfg)))
	for name, c := range map[string]struct {
		id, user string
		claims   jwt.MapClaims
		want     byte
	}{
		"user":                      {"kim", "kim", jwt.MapClaims{"sub": "kim"}, 0},
		"no name beside it":         {"kim:2", "", jwt.MapClaims{"sub": "kim"}, 0},
		"another name beside it":    {"kim", "ann", jwt.MapClaims{"sub": "kim"}, 0x86},
		"another client id":         {"gate-1", "", jwt.MapClaims{"sub": "kim"}, 0x85},
		"a device of ours":          {"gate-2", "", jwt.MapClaims{"sub": "gate-2", "roles": "device"}, 0},
		"a subject with a colon":    {"urn:kim", "", jwt.MapClaims{"sub": "urn:kim"}, 0x85},
		"a subject like a tenant":   {"@acme/x", "", jwt.MapClaims{"sub": "@acme/x"}, 0x85},
		"of a tenant":               {"kim", "", jwt.MapClaims{"sub": "kim", "tenant_id": "acme"}, 0},
		"one of our users":          {"ann", "", jwt.MapClaims{"sub": "ann"}, 0x86},
		"for somebody else":         {"kim", "", jwt.MapClaims{"sub": "kim", "aud": "x"}, 0x86},
		"that has expired":          {"kim", "", jwt.MapClaims{"sub": "kim", "exp": time.Now().Unix() - 1}, 0x86},
		"a subject like a topic":    {"a/b", "", jwt.MapClaims{"sub": "a/b"}, 0},
		"the name of the hub's own": {"tacet-x", "", jwt.MapClaims{"sub": "tacet-x"}, 0x85},
	} {
		all := jwt.MapClaims{"iss": "us", "aud": "tacet", "exp": time.Now().Add(time.Hour).Unix()}
		maps.Copy(all, c.claims)
		token, err := jwt.NewWithClaims(jwt.SigningMethodHS256, all).SignedString(key)
		if err != nil {
			t.Fatal(err)
		}
		r := newRaw(t, b.Pipe(t), 5)
		if ack := r.connect(c.id, login(c.user, token)); ack.ReasonCode != c.want {
			t.Errorf("%s: CONNACK %#x, want %#x", name, ack.ReasonCode, c.want)
		}
	}
}

// TestSignInByCertificate is RELIABILITY.md §2, mTLS identity.
func TestSignInByCertificate(t *testing.T) {
	b, ca := withTLS(t, mutual, func(c *broker.Config, _ *brokertest.CA) { c.Auth = authority(t, people()) })
	for name, c := range map[string]struct {
		cn, id string
		change []func(*packets.Packet)
		want   byte
	}{
		"device":                    {"gate-1", "gate-1", nil, 0},
		"its second client":         {"gate-1", "gate-1:2", nil, 0},
		"with its name":             {"gate-1", "gate-1", []func(*packets.Packet){as("gate-1")}, 0},
		"with another name":         {"gate-1", "gate-2", []func(*packets.Packet){as("gate-2")}, 0x86},
		"client id of another":      {"gate-1", "gate-2", nil, 0x85},
		"unlisted":                  {"gate-9", "gate-9", nil, 0x86},
		"odd characters":            {"gate-1\n", "gate-1", nil, 0x86},
		"more of a name":            {"CN=gate-1", "gate-1", nil, 0x86},
		"a user":                    {"ann", "ann", nil, 0x86},
		"a laptop, and who uses it": {"laptop", "ann", []func(*packets.Packet){as("ann")}, 0},
	} {
		r := secureRaw(t, b, &tls.Config{RootCAs: ca.Pool, Certificates: []tls.Certificate{ca.Certificate(t, c.cn)}}, 5)
		if ack := r.connect(c.id, c.change...); ack.ReasonCode != c.want {
			t.Errorf("%s: CONNACK %#x, want %#x", name, ack.ReasonCode, c.want)
		}
	}
}

// TestWrongPasswordsAreSlowedAtTheDoor is RELIABILITY.md §2, brute force.
func TestWrongPasswordsAreSlowedAtTheDoor(t *testing.T) {
	for version, want := range map[byte]byte{4: 5, 5: 0x9f} {
		synctest.Test(t, func(t *testing.T) { // else the first wait, of a second, may be over before the next attempt
			b := brokertest.New(t, withAuth(authority(t, people())))
			at := 0
			for i := 1; i <= 30 && at == 0; i++ {
				r := newRaw(t, pipeFrom(t, b, fmt.Sprint("192.0.2.7:", i)), version)
				if ack := r.connect("ann", login("ann", fmt.Sprint("guess ", i))); ack.ReasonCode == want {
					at = i
				}
				r.closed()
			}
			if at != 6 {
				t.Errorf("v%d: slowed at attempt %d, want 6", version, at)
			}
			synctest.Wait()
			if st := b.Stats(); st.RefusedLogins != 6 || st.Connections != 0 || st.Sessions != 0 {
				t.Errorf("v%d: stats %+v", version, st)
			}
			elsewhere := newRaw(t, pipeFrom(t, b, "192.0.2.8:1"), version)
			if ack := elsewhere.connect("ann", as("ann")); ack.ReasonCode != 0 {
				t.Errorf("v%d: CONNACK %#x to a good login from elsewhere", version, ack.ReasonCode)
			}
		})
	}
}

// pipeFrom opens a connection to the broker that comes from an address.
func pipeFrom(t testing.TB, b *brokertest.Broker, addr string) net.Conn {
	ours, theirs := net.Pipe()
	t.Cleanup(func() { _ = ours.Close() })
	go func() { _ = b.Establish(from{theirs, addr}) }()
	return ours
}

// from is a connection that comes from an address.
type from struct {
	net.Conn
	addr string
}

func (f from) RemoteAddr() net.Addr { return net.TCPAddrFromAddrPort(netip.MustParseAddrPort(f.addr)) }
