package hubd

import (
	"strings"
	"testing"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"

	"github.com/tacet-hub/tacet/broker/area"
	"github.com/tacet-hub/tacet/broker/auth"
	"github.com/tacet-hub/tacet/cmd/internal/conf"
)

// TestADeviceJoinsItsOwnAreaAlone: its status names the area in the payload,
// past the rules for topics.
func TestADeviceJoinsItsOwnAreaAlone(t *testing.T) {
	const secret, hash = "secret", "$argon2id$v=19$m=8,t=1,p=1$c2FsdHNhbHQ$+RsCrdHrAKGEJIDLM0Esow"
	h, ready, stop := started(t, func(c *conf.Config) {
		c.Areas = append(c.Areas, wing("south", "South Wing"))
		c.Auth.Devices = []conf.Principal{{Name: "gate-1", PasswordHash: hash, Area: "north", Tenant: "default"}}
	})
	o := mqtt.NewClientOptions().AddBroker(strings.Replace(ready.MQTT, "mqtt://", "tcp://", 1)).
		SetClientID("gate-1").SetUsername("gate-1").SetPassword(secret).SetAutoReconnect(false)
	c := mqtt.NewClient(o)
	wait := func(token mqtt.Token) {
		t.Helper()
		if !token.WaitTimeout(time.Minute) || token.Error() != nil {
			t.Fatalf("%v", token.Error())
		}
	}
	wait(c.Connect())
	for _, in := range []string{"south", "South Wing", "elsewhere", "north"} {
		wait(c.Publish(area.StatusTopic("gate-1"), 1, true, `{"v":1,"online":true,"boot":1,"conn":1,"mid":"m1","area":"`+in+`"}`))
	}
	poll(t, "the device is in north", func() bool { p, ok := h.roster.Player("gate-1"); return ok && p.Area == "north" })
	if _, err := h.roster.Find("elsewhere"); err == nil {
		t.Error("the device has made an area that is not its own")
	}
	if n := h.broker.Stats().GatedMessages; n != 3 {
		t.Errorf("%d statuses were refused, want 3", n)
	}
	c.Disconnect(0)
	if err := stop(); err != nil {
		t.Error(err)
	}
}

func TestMayJoin(t *testing.T) {
	for name, c := range map[string]struct {
		who auth.Principal
		in  area.Name
		ok  bool
	}{
		"own area":         {auth.Principal{Kind: auth.KindDevice, Area: "north"}, "north", true},
		"another":          {auth.Principal{Kind: auth.KindDevice, Area: "north"}, "south", false},
		"of no area":       {auth.Principal{Kind: auth.KindDevice}, "north", false},
		"no area at all":   {auth.Principal{Kind: auth.KindDevice}, "", false},
		"admin":            {auth.Principal{Roles: []string{"admin"}}, "south", true},
		"operator there":   {auth.Principal{Roles: []string{"operator"}, Areas: []string{"south"}}, "south", true},
		"announcer there":  {auth.Principal{Roles: []string{"announcer"}, Areas: []string{"south"}}, "south", false},
		"whoever has left": {auth.Principal{}, "north", false},
	} {
		if err := mayJoin(c.who, c.in); (err == nil) != c.ok {
			t.Errorf("%s: %v", name, err)
		}
	}
}
