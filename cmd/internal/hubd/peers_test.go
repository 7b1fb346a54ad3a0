package hubd

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"

	"github.com/tacet-hub/tacet/broker/area"
	"github.com/tacet-hub/tacet/broker/auth"
	"github.com/tacet-hub/tacet/broker/brokertest"
	"github.com/tacet-hub/tacet/cmd/internal/conf"
)

// ableDevice is a device that can lead, over MQTT.
type ableDevice struct {
	t    *testing.T
	id   area.DeviceID
	c    mqtt.Client
	docs *brokertest.Inbox
}

func able(t *testing.T, r Ready, id area.DeviceID, password string) *ableDevice {
	t.Helper()
	o := mqtt.NewClientOptions().AddBroker(strings.Replace(r.MQTT, "mqtt", "tcp", 1)).SetClientID(string(id)).SetAutoReconnect(false)
	if password != "" {
		o.SetUsername(string(id)).SetPassword(password)
	}
	c := mqtt.NewClient(o)
	if token := c.Connect(); !token.WaitTimeout(time.Minute) || token.Error() != nil {
		t.Fatalf("%s: %v", id, token.Error())
	}
	t.Cleanup(func() { c.Disconnect(0) })
	return &ableDevice{t: t, id: id, c: c, docs: brokertest.Subscribe(t, c, area.PeersTopic(id), 1)}
}

// says its status, with a machine and an address in a network of its own making.
func (d *ableDevice) says(in string, n int) {
	d.t.Helper()
	s := area.Status{Online: true, Boot: 1, Conn: 1, MID: fmt.Sprint("m", n), Area: in, Peers: &area.Peer{Addr: fmt.Sprintf("10.9.0.%d:7946", n), Net: "10.9.0.0/24"}}
	d.c.Publish(area.StatusTopic(d.id), 1, true, s.Encode()).Wait()
}

// until waits for a document that fits.
func (d *ableDevice) until(fits func(area.Peers) bool) area.Peers {
	d.t.Helper()
	for {
		p, err := area.ParsePeers(d.docs.Take(d.t, 1)[0].Payload)
		if err != nil {
			d.t.Fatal(err)
		}
		if fits(p) {
			return p
		}
	}
}

func topologyOf(t *testing.T, url string) string {
	t.Helper()
	_, body := get(t, url+"/api/v1/areas/north")
	var a area.Area
	if err := json.Unmarshal([]byte(body), &a); err != nil {
		t.Fatal(err)
	}
	return a.Topology
}

// Two machines on one network make their area a local one, which REST shows;
// what was read can be sent back, and what is set by hand stands.
func TestMembersMakeAnAreaLocal(t *testing.T) {
	_, r, _ := started(t, func(c *conf.Config) { c.Areas = []conf.Area{wing("north", "North Wing")} })
	one, two := able(t, r, "gate-1", ""), able(t, r, "gate-2", "")
	one.says("north", 1)
	if p := one.until(func(p area.Peers) bool { return len(p.Members) == 1 }); !p.Open || p.Name != "North Wing" || p.LeaseMs != 6000 || p.Hub != "hub-1" {
		t.Errorf("the document is %+v", p)
	}
	if got := topologyOf(t, r.HTTP); got != area.TopologyDirect {
		t.Errorf("with one member the area is %s", got)
	}
	two.says("north", 2)
	p := two.until(func(p area.Peers) bool { return len(p.Members) == 2 && p.Topology == area.TopologyLocal })
	if got := topologyOf(t, r.HTTP); got != area.TopologyLocal {
		t.Errorf("with two members the area is %s", got)
	}
	if _, body := get(t, r.HTTP+"/api/v1/areas/north/key"); !strings.Contains(body, jsonOf(t, p.Key)) {
		t.Errorf("the key is %s, in the document %s", body, jsonOf(t, p.Key))
	}
	write(t, "PATCH", r.HTTP+"/api/v1/areas/north", `{"volume":50}`)
	one.until(func(p area.Peers) bool { return p.Volume == 50 && p.Topology == area.TopologyLocal })
	write(t, "PATCH", r.HTTP+"/api/v1/areas/north", `{"topology":"direct"}`)
	one.until(func(p area.Peers) bool { return p.Topology == area.TopologyDirect })
	write(t, "PATCH", r.HTTP+"/api/v1/areas/north", `{"topology":"local"}`)
	one.until(func(p area.Peers) bool { return p.Topology == area.TopologyLocal })
}

// The document has what a leader lets the area's devices in by; a device whose
// credential is withdrawn is no member any more, and does not know the new key.
func TestCredentialsGoToTheMembers(t *testing.T) {
	const hash = "$argon2id$v=19$m=8,t=1,p=1$c2FsdHNhbHQ$+RsCrdHrAKGEJIDLM0Esow"
	h, r, _ := started(t, func(c *conf.Config) {
		c.Areas = []conf.Area{wing("north", "North Wing")}
		c.Auth.Users = []conf.User{
			{Name: "ann", PasswordHash: hash, Roles: []string{"operator"}, Tenant: "default", Areas: []string{"*"}},
			{Name: "boss", PasswordHash: hash, Roles: []string{"admin"}, Tenant: "default"}, {Name: "guest", PasswordHash: hash, Roles: []string{"viewer"}, Tenant: "default", Areas: []string{"*"}},
		}
		c.Auth.Devices = []conf.Principal{{Name: "gate-1", PasswordHash: hash, Area: "north"}}
	})
	code, err := h.auth.Enrol(t.Context(), auth.Enrolment{Device: "gate-2", Area: "north"})
	if err != nil {
		t.Fatal(err)
	}
	made, err := h.auth.Redeem(t.Context(), "", code.Text)
	if err != nil {
		t.Fatal(err)
	}
	one, two := able(t, r, "gate-1", "secret"), able(t, r, "gate-2", made.Secret)
	one.says("north", 1)
	two.says("north", 2)
	p := one.until(func(p area.Peers) bool { return len(p.Members) == 2 })
	if p.Open || len(p.Credentials) != 2 || p.Credentials[0].Hash != hash || strings.Contains(string(p.Encode()), "boss") || strings.Contains(string(p.Encode()), "guest") {
		t.Errorf("credentials %+v", p.Credentials)
	}
	if ann := (area.Person{Name: "ann", Kind: area.PersonUser, Hash: hash, Role: "operator", Everywhere: true}); len(p.People) != 1 || p.People[0] != ann {
		t.Errorf("people %+v, want %+v", p.People, ann)
	}
	// A token that is made, and taken back, is in the next document, and is not in that after it.
	if _, err := h.auth.CreateToken(t.Context(), auth.Token{Name: "till", Roles: []string{"announcer"}, Areas: []string{"north"}}); err != nil {
		t.Fatal(err)
	}
	one.until(func(p area.Peers) bool { return len(p.People) == 2 && p.People[1].Name == "till" })
	if err := h.auth.DeleteToken(t.Context(), "", "till"); err != nil {
		t.Fatal(err)
	}
	p = one.until(func(p area.Peers) bool { return len(p.People) == 1 })
	if err := h.auth.Revoke(t.Context(), "", "gate-2"); err != nil {
		t.Fatal(err)
	}
	after := one.until(func(p area.Peers) bool { return len(p.Members) == 1 })
	if bytes.Equal(after.Key, p.Key) || len(after.Credentials) != 1 {
		t.Errorf("after the revocation: same key %v, credentials %+v", bytes.Equal(after.Key, p.Key), after.Credentials)
	}
}
