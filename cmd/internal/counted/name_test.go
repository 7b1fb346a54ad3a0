package counted

import "testing"

func TestName(t *testing.T) {
	for in, want := range map[string]string{"ToSoundP95": "to_sound_p95", "MQTTPackets": "mqtt_packets", "Live": "live", "BytesIn": "bytes_in"} {
		if got := Name(in); got != want {
			t.Errorf("%s: got %s, want %s", in, got, want)
		}
	}
}
