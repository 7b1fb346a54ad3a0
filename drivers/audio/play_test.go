package audio

import (
	"testing"
	"time"
)

// play writes sound in chunks of 20 ms, never with more than 50 ms ahead, as the
// agent does.
func play(t testing.TB, a player, sound []byte) {
	t.Helper()
	for len(sound) > 0 {
		d, err := a.Delay()
		if err != nil {
			t.Fatal(err)
		}
		if d > 30*time.Millisecond {
			time.Sleep(d - 30*time.Millisecond)
			continue
		}
		n, err := a.Write(sound[:min(882, len(sound))])
		if err != nil {
			t.Fatal(err)
		}
		sound = sound[n:]
	}
}
