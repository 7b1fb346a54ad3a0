package broker

import (
	"testing"

	mqtt "github.com/mochi-mqtt/server/v2"

	"github.com/tacet-hub/tacet/broker/auth"
)

// deliveries are clients with rights to the topic, asked about it.
func deliveries() map[string]func() bool {
	h := &hook{}
	ask := func(p auth.Principal, topic string) func() bool {
		l := &link{}
		l.who.Store(&identity{principal: p, access: p.Access(), mount: auth.Mountpoint(p.Tenant)})
		cl := &mqtt.Client{ID: p.Name}
		cl.Net.Conn = l
		return func() bool { return h.OnACLCheck(cl, topic, false) }
	}
	open := &mqtt.Client{}
	open.Net.Conn = &link{}
	device := auth.Principal{Name: "gate-1", Kind: auth.KindDevice, Area: "north"}
	far := device
	far.Tenant = "acme"
	return map[string]func() bool{
		"open":     func() bool { return h.OnACLCheck(open, "tacet/area/north/busy", false) },
		"device":   ask(device, "tacet/area/north/busy"),
		"operator": ask(auth.Principal{Name: "ann", Roles: []string{"operator"}, Areas: []string{"*"}}, "tacet/area/north/busy"),
		"tenant":   ask(far, "@acme/tacet/area/north/busy"),
	}
}

// TestDeliveryCheckAllocatesNothing: it is asked per message and subscriber.
func TestDeliveryCheckAllocatesNothing(t *testing.T) {
	for name, ask := range deliveries() {
		if !ask() {
			t.Errorf("%s: refused", name)
		}
		if n := testing.AllocsPerRun(100, func() { ask() }); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}

// BenchmarkDeliveryCheck is what knowing the clients costs per delivery.
func BenchmarkDeliveryCheck(b *testing.B) {
	for name, ask := range deliveries() {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					ask()
				}
			})
		})
	}
}
