package uplink

import (
	"testing"
	"testing/synctest"
	"time"
)

// TestRest: a connection that is lost while the client is to rest is made again only
// after it; a later one at once, as always.
func TestRest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t)
		s.run(t)
		<-s.ups
		for _, rest := range []time.Duration{20 * time.Second, 0} {
			began := time.Now()
			s.c.Rest(rest)
			time.Sleep(steady + time.Second)
			s.setAway(true)
			s.setAway(false)
			<-s.ups
			lost := time.Now()
			<-s.ups
			if d := time.Since(began); d < rest || rest == 0 && time.Since(lost) > minWait {
				t.Errorf("told to rest for %v, it connected after %v", rest, d)
			}
		}
	})
}
