package broker_test

import (
	"strings"
	"testing"
	"testing/synctest"

	"github.com/mochi-mqtt/server/v2/packets"

	"github.com/tacet-hub/tacet/broker"
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

// TestPublishRights is DESIGN.md §3.6, MQTT.
func TestPublishRights(t *testing.T) {
	topics := map[string]string{ // topic: who may publish on it, space between
		"tacet/device/gate-1/status":           "gate-1 root",
		"tacet/device/gate-1/tele/temperature": "gate-1 root",
		"tacet/device/gate-1/cmd/volume":       "gate-1 ann root",
		"tacet/device/gate-2/status":           "root",
		"tacet/area/north/claim/gate-1":        "gate-1 root",
		"tacet/area/north/vote/gate-1":         "gate-1 root",
		"tacet/area/north/vote/gate-2":         "root",
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
