package deviced

import "testing"

func TestNoNetworkIsNeededForAHubHere(t *testing.T) {
	for hub, needed := range map[string]bool{
		"mqtt://127.0.0.1:1883": false, "ws://localhost/mqtt": false, "mqtt://[::1]:1883": false,
		"mqtt://hub.local:1883": true, "mqtts://10.1.2.3:8883": true,
	} {
		if got := (Config{Hub: []string{hub}}).network() != nil; got != needed {
			t.Errorf("%s: a network is needed: %v, want %v", hub, got, needed)
		}
	}
	hasNetwork() // whatever this machine has, it ends
}
