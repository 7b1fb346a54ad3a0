package arbiter

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/tacet-hub/tacet/broker/area"
)

// reigning is a stand of one of several hub nodes, whose reign is confirmed for so
// long.
func reigning(t *testing.T, left time.Duration) *stand {
	t.Helper()
	d := newStand(t, "", func(c *CoreConfig) { c.ColdStart, c.Reigned = true, true })
	d.step(Reign{Until: d.now.Add(left)})
	d.want(Begin{}, "busy(idle)")
	return d
}

// §8.1: no lease ends after the reign; none is granted that would, and what is
// extended gets what is left.
func TestLeasesEndWithTheReign(t *testing.T) {
	d := reigning(t, 8250*time.Millisecond)
	d.hear("a", want, "a<queued(1) busy(held:a) a<grant(1000001,2.5s)")
	d.hear("a", playing(1000001), "a<grant(1000001,4s)")
	d.now += 3 * sec
	d.hear("a", playing(1000001), "a<grant(1000001,4s)")
	d.now += 2 * sec
	d.hear("a", playing(1000001), "a<grant(1000001,3s)") // 8.25 s, less guard, less 5 s
	d.want(Reign{Until: (1000 * sec).Add(20 * time.Second)}, "")
	d.now += sec
	d.hear("a", playing(1000001), "a<grant(1000001,4s)")
	d.hear("a", done, "a<released busy(idle)")

	d = reigning(t, 2700*time.Millisecond) // less than a first lease and its guard
	d.hear("a", want, "a<queued(1) busy(idle,a)")
	d.want(Reign{Until: d.now.Add(10 * time.Second)}, "busy(held:a) a<grant(1000001,2.5s)")
	d.hear("a", done, "a<released busy(idle)")
	d.at(11*time.Second, "busy(settling)") // the reign has ended
	d.hear("b", want, "b<queued(0) busy(settling,b)")
}

// §0, 10: every grant is in the ledger before anybody hears of it, and one that the
// ledger refuses is never made.
func TestEachGrantIsWrittenDown(t *testing.T) {
	d := reigning(t, time.Minute)
	d.slow = true
	d.hear("a", want, "a<queued(1)")
	if rec := string(d.await[0].Record); !strings.Contains(rec, `"token":1000001`) {
		t.Errorf("the record is %s, want the token in it", rec)
	}
	d.hear("a", want, "a<queued(1)")
	if got, want := d.commit(nil), "busy(held:a) a<grant(1000001,2.5s)"; got != want {
		t.Errorf("durable: %q, want %q", got, want)
	}
	d.hear("a", done, "a<released busy(idle)")
	d.hear("b", want, "b<queued(1)")
	if got := d.commit(errors.New("another node has the area")); got != "busy(idle)" {
		t.Errorf("refused: %q, want it to be idle", got)
	}
	d.hear("b", want, "b<queued(1)")
}

// A record with a token is read back.
func TestRecordWithAToken(t *testing.T) {
	r, err := parseRecord([]byte(`{"v":1,"term":64,"alive_ms":4250,"token":64000007}`))
	if err != nil || r.Token != area.MakeToken(64, 7) {
		t.Errorf("read %+v, %v", r, err)
	}
}
