package hubd

import (
	"strings"
	"testing"

	"github.com/tacet-hub/tacet/bridge"
	"github.com/tacet-hub/tacet/broker/area"
)

func TestAilmentsAreToldOnce(t *testing.T) {
	a := &ailing{known: map[area.DeviceID]ailment{}}
	yes := true
	say := func(boot uint64, h area.Health) area.Status { return area.Status{Online: true, Boot: boot, Health: &h} }
	card := map[string]string{"sound": "the card\nis gone"}
	for i, c := range []struct {
		s    area.Status
		want []string // level and words of each
	}{
		{say(1, area.Health{BootReason: area.BootPowerOn}), nil},
		{say(1, area.Health{BootReason: area.BootPowerOn, Faults: card}), []string{bridge.AlertWarning + " device gate-1: sound: the card is gone"}},
		{say(1, area.Health{BootReason: area.BootPowerOn, Faults: card, Xruns: 3}), nil},
		{say(1, area.Health{BootReason: area.BootPowerOn}), nil},
		{say(1, area.Health{BootReason: area.BootPowerOn, Faults: card}), []string{bridge.AlertWarning + " device gate-1: sound"}},
		{say(1, area.Health{BootReason: area.BootPowerOn, UnderVoltage: &yes}), []string{bridge.AlertWarning + " the power supply of device gate-1"}},
		{say(2, area.Health{BootReason: area.BootCrash, UptimeS: 1}), []string{bridge.AlertWarning + " device gate-1 crashed"}},
		{say(2, area.Health{BootReason: area.BootCrash, UptimeS: 2}), nil},
		{say(3, area.Health{BootReason: area.BootWatchdog, SafeMode: true}), []string{bridge.AlertWarning + " device gate-1 made no progress", bridge.AlertError + " device gate-1 is in safe mode"}},
		{say(4, area.Health{BootReason: area.BootCrash, UptimeS: 86400}), nil}, // a hub that was away
		{say(5, area.Health{BootReason: area.BootOrderly, SafeMode: true, Faults: map[string]string{"configuration": "tacet.yaml:3: x"}}),
			[]string{bridge.AlertError + " device gate-1 is in safe mode", bridge.AlertError + " device gate-1: configuration: tacet.yaml:3"}},
	} {
		got := a.news("gate-1", c.s)
		if len(got) != len(c.want) {
			t.Errorf("status %d: %+v, want %q", i, got, c.want)
			continue
		}
		for n, want := range c.want {
			if text := got[n].Level + " " + got[n].Message; !strings.HasPrefix(text, want) || strings.ContainsAny(text, "\n%") || !strings.HasSuffix(got[n].Key, " gate-1") {
				t.Errorf("status %d: %q with key %q, want %q", i, text, got[n].Key, want)
			}
		}
	}
	if got := plainly(strings.Repeat("ä", 300)); len([]rune(got)) != 201 {
		t.Errorf("%d runes", len([]rune(got)))
	}
}
