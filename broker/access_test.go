package broker_test

import (
	"context"
	"crypto/tls"
	"fmt"
	"maps"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/mochi-mqtt/server/v2/packets"

	"github.com/tacet-hub/tacet/broker"
	"github.com/tacet-hub/tacet/broker/area"
	"github.com/tacet-hub/tacet/broker/auth"
	"github.com/tacet-hub/tacet/broker/brokertest"
)

// secret is everybody's password in these tests, and its hash at a cost that
// tests can pay.
const (
	secret     = "secret"
	secretHash = "$argon2id$v=19$m=8,t=1,p=1$c2FsdHNhbHQ$+RsCrdHrAKGEJIDLM0Esow"
)

// people is a site with one of each.
func people() auth.Config {
	return auth.Config{
		Users: []auth.User{
			{Name: "ann", PasswordHash: secretHash, Roles: []string{"operator"}, Areas: []string{"*"}},
			{Name: "sam", PasswordHash: secretHash, Roles: []string{"announcer"}, Areas: []string{"north"}},
			{Name: "vic", PasswordHash: secretHash, Roles: []string{"viewer"}, Areas: []string{"north"}},
			{Name: "root", PasswordHash: secretHash, Roles: []string{"admin"}},
			{Name: "nil", PasswordHash: secretHash},
			{Name: "eve", PasswordHash: secretHash, Roles: []string{"admin"}, Tenant: "acme"},
		},
		Devices: []auth.Device{
			{Name: "gate-1", PasswordHash: secretHash, Area: "north", Publish: []string{"!plant/secret/#", "plant/#"}, Subscribe: []string{"!hall/secret", "hall/#"}},
			{Name: "gate-2", PasswordHash: secretHash, Area: "north"},
			{Name: "hall", PasswordHash: secretHash},
			{Name: "mill", PasswordHash: secretHash, Area: "north", Tenant: "acme"},
		},
	}
}

func authority(t testing.TB, cfg auth.Config) *auth.Authority {
	t.Helper()
	a, err := auth.New(cfg, nil, nil, silent)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func withAuth(a *auth.Authority) func(*broker.Config) {
	return func(c *broker.Config) { c.Auth = a }
}

// as signs in.
func as(name string) func(*packets.Packet) {
	return login(name, secret)
}

func login(name, password string) func(*packets.Packet) {
	return func(pk *packets.Packet) {
		c := &pk.Connect
		c.UsernameFlag, c.Username, c.PasswordFlag, c.Password = true, []byte(name), true, []byte(password)
	}
}

func keep(pk *packets.Packet) {
	pk.Connect.Clean = false
	pk.Properties.SessionExpiryInterval, pk.Properties.SessionExpiryIntervalFlag = 3600, true
}

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

// TestPublishRights is DESIGN.md §3.6, MQTT.
func TestPublishRights(t *testing.T) {
	topics := map[string]string{ // topic: who may publish on it, space between
		"tacet/device/gate-1/status":           "gate-1 root",
		"tacet/device/gate-1/tele/temperature": "gate-1 root",
		"tacet/device/gate-1/cmd/volume":       "gate-1 ann root",
		"tacet/device/gate-2/status":           "root",
		"tacet/area/north/claim/gate-1":        "gate-1 root",
		"tacet/area/north/claim/gate-2":        "root",
		"tacet/area/south/claim/gate-1":        "root",
		"tacet/area/north/busy/set/gate-1":     "gate-1 root",
		"tacet/area/north/submit":              "ann sam root",
		"tacet/area/south/submit":              "ann root",
		"tacet/request/areas/list":             "ann root",
		"tacet/group/alarms/ring":              "ann root",
		"plant/1/power":                        "gate-1 root",
		"plant/secret/key":                     "root",
		"plan":                                 "root",
		"tacet/area/north/busy":                "",
		"tacet/area/north/busy/flag":           "",
		"tacet/area/north/leader":              "",
		"tacet/device/gate-1/grant":            "",
		"tacet/device/gate-1/work":             "",
		"tacet/response/t1":                    "",
		"$SYS/x":                               "",
		"$sys/x":                               "",
		"$other/x":                             "",
		"@acme/x":                              "",
	}
	synctest.Test(t, func(t *testing.T) {
		b := brokertest.New(t, withAuth(authority(t, people())))
		seen := brokertest.NewInbox()
		if _, err := b.Subscribe("#", seen.Put); err != nil {
			t.Fatal(err)
		}
		refused := int64(0)
		for _, who := range []string{"gate-1", "ann", "sam", "vic", "root", "nil"} {
			for version, qos := range map[byte]byte{4: 1, 5: 2} {
				r := dial(t, b, version, who, as(who))
				for topic, may := range topics {
					want := strings.Contains(" "+may+" ", " "+who+" ")
					r.send(publishPacket(topic, "x", qos, 1))
					code := byte(0)
					if qos == 1 {
						code = r.expect(packets.Puback).ReasonCode
					} else if code = r.expect(packets.Pubrec).ReasonCode; code == 0 {
						r.send(packets.Packet{FixedHeader: packets.FixedHeader{Type: packets.Pubrel}, PacketID: 1})
						r.expect(packets.Pubcomp)
					}
					if !want {
						refused++
					}
					synctest.Wait() // the acknowledgement comes before the message
					if version == 5 && (code == 0x87) == want || version == 4 && code != 0 {
						t.Errorf("%s on %s, v%d: reason %#x; allowed: %t", who, topic, version, code, want)
					}
					if got := seen.Len() == 1; got != want {
						t.Errorf("%s on %s, v%d: taken %t, want %t", who, topic, version, got, want)
					}
					seen.Take(t, seen.Len())
				}
			}
		}
		if n := b.Stats().RefusedMessages; n != refused {
			t.Errorf("%d refused are counted, want %d", n, refused)
		}
	})
}

func TestSubscribeRights(t *testing.T) {
	filters := map[string]string{
		"tacet/device/gate-1/#":             "gate-1 ann root",
		"tacet/device/gate-1/grant":         "gate-1 ann root",
		"tacet/device/gate-1/+/x":           "gate-1 ann root",
		"tacet/device/+/grant":              "ann root",
		"tacet/device/gate-2/grant":         "ann root",
		"tacet/area/north/#":                "gate-1 ann sam vic root",
		"tacet/area/north":                  "gate-1 ann sam vic root",
		"tacet/area/+/busy":                 "ann root",
		"tacet/area/south/busy":             "ann root",
		"tacet/#":                           "ann root",
		"#":                                 "ann root",
		"+/#":                               "ann root",
		"hall/temperature":                  "gate-1 ann root",
		"hall/#":                            "ann root", // a rule of gate-1 denies a part
		"hall/+":                            "ann root",
		"hall/secret":                       "ann root",
		"hall/+/x":                          "gate-1 ann root",
		"$share/g/tacet/area/north/#":       "gate-1 ann sam vic root",
		"$SHARE/g/tacet/device/gate-2/work": "ann root",
		"$share/g/#":                        "ann root",
		"$share/g/$SYS/#":                   "",
		"$SYS/#":                            "",
		"$SYS/broker/version":               "",
		"@acme/#":                           "",
		"$share/g/@acme/#":                  "",
	}
	synctest.Test(t, func(t *testing.T) {
		b := brokertest.New(t, withAuth(authority(t, people())))
		for _, who := range []string{"gate-1", "ann", "sam", "vic", "root", "nil"} {
			for version, bad := range map[byte]byte{4: 0x80, 5: 0x87} {
				r := dial(t, b, version, who, as(who))
				for filter, may := range filters {
					r.send(subscribePacket(1, 1, filter))
					got := r.expect(packets.Suback).ReasonCodes
					want := bad
					if strings.Contains(" "+may+" ", " "+who+" ") {
						want = 1
					}
					if len(got) != 1 || got[0] != want {
						t.Errorf("%s to %s, v%d: %#x, want %#x", who, filter, version, got, want)
					}
				}
			}
		}
	})
}

// TestWrongPasswordsAreSlowedAtTheDoor is RELIABILITY.md §2, brute force.
func TestWrongPasswordsAreSlowedAtTheDoor(t *testing.T) {
	for version, want := range map[byte]byte{4: 5, 5: 0x9f} {
		b := overTCP(t, broker.Config{Auth: authority(t, people())}, silent)
		at := 0
		for i := 1; i <= 30 && at == 0; i++ {
			r := dialTCP(t, b, version)
			if ack := r.connect("ann", login("ann", fmt.Sprint("guess ", i))); ack.ReasonCode == want {
				at = i
			}
			r.closed()
		}
		if at != 6 {
			t.Errorf("v%d: slowed at attempt %d, want 6", version, at)
		}
		if st := b.Stats(); st.RefusedLogins != 6 || st.Connections != 0 || st.Sessions != 0 {
			t.Errorf("v%d: stats %+v", version, st)
		}
		elsewhere := newRaw(t, pipeTo(t, b), version)
		if ack := elsewhere.connect("ann", as("ann")); ack.ReasonCode != 0 {
			t.Errorf("v%d: CONNACK %#x to a good login from elsewhere", version, ack.ReasonCode)
		}
	}
}

func TestRevocationEndsConnections(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := authority(t, people())
		b := brokertest.New(t, withAuth(a))
		seen := brokertest.NewInbox()
		if _, err := b.Subscribe("tacet/device/#", seen.Put); err != nil {
			t.Fatal(err)
		}
		gone5 := dial(t, b, 5, "gate-1", as("gate-1"), withWill("tacet/device/gate-1/status", "gone", true))
		gone4 := dial(t, b, 4, "gate-1:2", as("gate-1"))
		stays := dial(t, b, 5, "gate-2", as("gate-2"))
		next := people()
		next.Devices = next.Devices[1:]
		start := time.Now()
		if err := a.Reload(next); err != nil {
			t.Fatal(err)
		}
		if pk := gone5.expect(packets.Disconnect); pk.ReasonCode != 0x98 || pk.Properties.ReasonString == "" {
			t.Errorf("DISCONNECT %#x %q", pk.ReasonCode, pk.Properties.ReasonString)
		}
		gone4.closed()
		if d := time.Since(start); d > 5*time.Second {
			t.Errorf("closed after %s", d)
		}
		stays.alive()
		synctest.Wait()
		if n := seen.Len(); n != 0 {
			t.Errorf("%d messages, want none: its will is not sent", n)
		}
		if ack := newRaw(t, b.Pipe(t), 5).connect("gate-1", as("gate-1")); ack.ReasonCode != 0x86 {
			t.Errorf("CONNACK %#x, want 0x86", ack.ReasonCode)
		}
		if st := b.Stats(); st.Withdrawn != 2 || st.WithdrawnMessages != 1 {
			t.Errorf("stats %+v; want 2 closed, 1 will", st)
		}
	})
}

// TestOpenNoMore: whoever is there without having shown who he is must go.
func TestOpenNoMore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := authority(t, auth.Config{})
		b := brokertest.New(t, withAuth(a))
		r := dial(t, b, 5, "anybody")
		r.send(publishPacket("@any/thing", "x", 1, 1)) // open mode is as it was
		if ack := r.expect(packets.Puback); ack.ReasonCode != 0 {
			t.Errorf("reason %#x", ack.ReasonCode)
		}
		if err := a.Reload(people()); err != nil {
			t.Fatal(err)
		}
		if pk := r.expect(packets.Disconnect); pk.ReasonCode != 0x98 {
			t.Errorf("DISCONNECT %#x", pk.ReasonCode)
		}
	})
}

// TestTokenEndsConnection: no connection outlives its proof.
func TestTokenEndsConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := authority(t, people())
		token, err := a.CreateToken(context.Background(), auth.Token{Name: "ci", Roles: []string{"operator"}, Areas: []string{"*"}, Expires: time.Now().Add(3 * time.Second)})
		if err != nil {
			t.Fatal(err)
		}
		b := brokertest.New(t, withAuth(a))
		r := dial(t, b, 5, "ci", login("", token), withWill("tacet/group/ci/gone", "x", false))
		seen := brokertest.NewInbox()
		if _, err := b.Subscribe("tacet/group/#", seen.Put); err != nil {
			t.Fatal(err)
		}
		short := dial(t, b, 5, "ci:2", login("ci", token)) // ends before its token does
		_ = short.Close()
		start := time.Now()
		if pk := r.expect(packets.Disconnect); pk.ReasonCode != 0x87 || time.Since(start) != 3*time.Second {
			t.Errorf("DISCONNECT %#x after %s", pk.ReasonCode, time.Since(start))
		}
		if got := seen.Take(t, 1); !got[0].Will {
			t.Error("its will is not sent")
		}
		for name, want := range map[string]byte{"ci": 0x86, "ann": 0x86} { // expired; and not Ann's
			if ack := newRaw(t, b.Pipe(t), 5).connect(name, login(name, token)); ack.ReasonCode != want {
				t.Errorf("%s: CONNACK %#x, want %#x", name, ack.ReasonCode, want)
			}
		}
	})
}

// TestSessionLosesWhatItMayNotHave is row 8, for a session that waits.
func TestSessionLosesWhatItMayNotHave(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := authority(t, people())
		b := brokertest.New(t, withAuth(a))
		r := dial(t, b, 5, "gate-1", as("gate-1"), keep)
		r.send(subscribePacket(1, 1, "hall/temperature", "tacet/area/north/busy"))
		r.expect(packets.Suback)
		_ = r.Close()
		synctest.Wait()
		publish(t, b, area.Message{Topic: "hall/temperature", Payload: []byte("21"), QoS: 1})
		publish(t, b, area.Message{Topic: "tacet/area/north/busy", Payload: []byte("{}"), QoS: 1})
		next := people()
		next.Devices[0].Subscribe = nil
		if err := a.Reload(next); err != nil {
			t.Fatal(err)
		}
		again := newRaw(t, b.Pipe(t), 5)
		if ack := again.connect("gate-1", as("gate-1"), keep); ack.ReasonCode != 0 || !ack.SessionPresent {
			t.Fatalf("CONNACK %#x, session %t", ack.ReasonCode, ack.SessionPresent)
		}
		if pk := again.expect(packets.Publish); pk.TopicName != "tacet/area/north/busy" {
			t.Errorf("%s came", pk.TopicName)
		}
		publish(t, b, area.Message{Topic: "hall/temperature", Payload: []byte("22"), QoS: 1})
		again.alive()
		if st := b.Stats(); st.Subscriptions != 1 || st.WithdrawnMessages != 1 {
			t.Errorf("stats %+v; want 1 subscription, 1 message withdrawn", st)
		}
	})
}

// TestRetainedOfWhoLostTheRight is CVE-2018-12546.
func TestRetainedOfWhoLostTheRight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := authority(t, people())
		b := brokertest.New(t, withAuth(a))
		r := dial(t, b, 5, "gate-1", as("gate-1"))
		for i, topic := range []string{"plant/power", "tacet/device/gate-1/status"} {
			pk := publishPacket(topic, "x", 1, uint16(i+1))
			pk.FixedHeader.Retain = true
			r.send(pk)
			r.expect(packets.Puback)
		}
		if n := len(b.Retained("#", 0)); n != 2 {
			t.Fatalf("%d retained", n)
		}
		next := people()
		next.Devices[0].Publish = nil
		if err := a.Reload(next); err != nil {
			t.Fatal(err)
		}
		if left := b.Retained("#", 0); len(left) != 1 || left[0].Topic != "tacet/device/gate-1/status" {
			t.Errorf("retained %v", left)
		}
	})
}

// pipeTo opens a connection to the broker from elsewhere than loopback.
func pipeTo(t testing.TB, b *broker.Broker) net.Conn {
	ours, theirs := net.Pipe()
	t.Cleanup(func() { _ = ours.Close() })
	go func() { _ = b.Establish(theirs) }()
	return ours
}
