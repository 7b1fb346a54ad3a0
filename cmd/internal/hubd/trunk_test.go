package hubd

import (
	"context"
	"encoding/json"
	"strings"
	"sync"
	"testing"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"

	"github.com/tacet-hub/tacet/bridge/signalr/signalrtest"
	"github.com/tacet-hub/tacet/broker/area"
	"github.com/tacet-hub/tacet/broker/brokertest"
	"github.com/tacet-hub/tacet/cmd/internal/conf"
)

// scriptedLeader is the leader of north, which says what the test has it say.
type scriptedLeader struct {
	t    *testing.T
	c    mqtt.Client
	down *brokertest.Inbox
	term uint64
	n    uint64
}

// newLeader makes gate-1 a member of north, and has it lead.
func newLeader(t *testing.T, r Ready, term uint64) *scriptedLeader {
	t.Helper()
	d := able(t, r, "gate-1", "")
	d.says("north", 1)
	d.until(func(p area.Peers) bool { return len(p.Members) == 1 && p.Topology == area.TopologyLocal })
	l := &scriptedLeader{t: t, c: paho(t, strings.Replace(r.MQTT, "mqtt", "tcp", 1), "gate-1:trunk", nil), term: term}
	l.down = brokertest.Subscribe(t, l.c, area.TrunkDownTopic("gate-1"), 1)
	l.say(area.Trunk{Op: area.TrunkLead, Addr: "127.0.0.1:1", AliveMs: 6250})
	l.until(area.TrunkLed, func(area.Trunk) bool { return true })
	l.keepLeading()
	return l
}

func (l *scriptedLeader) say(m area.Trunk) {
	l.t.Helper()
	m.Area, m.Life, m.Term = "north", "life", l.term
	if token := l.c.Publish(area.TrunkUpTopic("gate-1"), 1, false, m.Encode()); !token.WaitTimeout(time.Minute) || token.Error() != nil {
		l.t.Fatal(token.Error())
	}
}

// keepLeading says each second that it leads, until the test ends.
func (l *scriptedLeader) keepLeading() {
	done := make(chan struct{})
	var beat sync.WaitGroup
	l.t.Cleanup(func() { close(done); beat.Wait() })
	lead := area.Trunk{Op: area.TrunkLead, Area: "north", Life: "life", Term: l.term, Addr: "127.0.0.1:1", AliveMs: 6250}.Encode()
	beat.Go(func() {
		tick := time.NewTicker(time.Second)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				l.c.Publish(area.TrunkUpTopic("gate-1"), 1, false, lead)
			case <-done:
				return
			}
		}
	})
}

// until waits for a message that fits.
func (l *scriptedLeader) until(op area.TrunkOp, fits func(area.Trunk) bool) area.Trunk {
	l.t.Helper()
	var seen []string
	for end := time.Now().Add(time.Minute); time.Now().Before(end); {
		m, err := area.ParseTrunk(l.down.Take(l.t, 1)[0].Payload)
		if err != nil {
			l.t.Fatal(err)
		}
		if m.Op == op && fits(m) {
			return m
		}
		seen = append(seen, string(m.Op))
	}
	l.t.Fatalf("no %s came that fits, but %s", op, seen)
	return area.Trunk{}
}

// report tells what became of a work, until that is got.
func (l *scriptedLeader) report(r area.Report, o *area.Order) {
	l.t.Helper()
	l.n++
	l.say(area.Trunk{Op: area.TrunkReport, N: l.n, Report: r.Reported(r.Ago), Order: o})
	l.until(area.TrunkGot, func(m area.Trunk) bool { return m.N == l.n })
}

func (l *scriptedLeader) takes(id area.WorkID) area.Handed {
	l.t.Helper()
	m := l.until(area.TrunkSubmit, func(m area.Trunk) bool { return m.Handed.Work == id })
	l.say(area.Trunk{Op: area.TrunkSubmitted, N: m.N, Work: id})
	return *m.Handed
}

func orderOf(t *testing.T, r Ready, id string) (o area.Order) {
	t.Helper()
	_, body := get(t, r.HTTP+"/api/v1/orders/"+id)
	if err := json.Unmarshal([]byte(body), &o); err != nil {
		t.Fatalf("%s: %v", body, err)
	}
	return o
}

func localNorth(data string) func(*conf.Config) {
	return func(c *conf.Config) {
		c.Data = data
		c.Areas = []conf.Area{wing("north", "North Wing")}
		c.Areas[0].Topology = area.TopologyLocal
	}
}

// Orders are handed to the leader, end once by what it reports, also those that
// the hub has never seen; and a hub that starts again knows what is in whose
// hands.
func TestOrdersGoThroughTheLeader(t *testing.T) {
	data := t.TempDir()
	_, r, stop := started(t, localNorth(data))
	l := newLeader(t, r, 80)
	write(t, "POST", r.HTTP+"/api/v1/orders", `{"id":"o-1","to":{"area":"north"},"message":"one","expires":"3600s"}`)
	write(t, "POST", r.HTTP+"/api/v1/orders", `{"id":"o-2","to":{"area":"north"},"message":"two","expires":"3600s"}`)
	if h := l.takes("o-1"); h.Body.Message == nil || *h.Body.Message != "one" || h.TTLMs > 3_600_000 || h.TTLMs < 3_000_000 {
		t.Errorf("handed over: %+v", h)
	}
	l.takes("o-2")
	l.report(area.Report{Work: "o-2", State: area.OrderAssigned, Device: "gate-1", MID: "m1", Boot: 4, Att: 1}, nil)
	l.report(area.Report{Work: "o-1", State: area.OrderPlaying, Device: "gate-1", Att: 1, Dur: 2 * time.Second}, nil)
	played := area.Report{Work: "o-1", State: area.OrderPlayed, Device: "gate-1", Att: 1, Dur: 2 * time.Second, Ago: time.Second}
	l.report(played, nil)
	if o := orderOf(t, r, "o-1"); o.State != area.OrderPlayed || *o.Device != "gate-1" || o.DurationMs != 2000 {
		t.Errorf("o-1 is %+v", o)
	}
	l.report(played, nil) // once more: it is got, and nothing changes
	l.until(area.TrunkStored, func(m area.Trunk) bool { return m.Work == "o-1" })

	now, north := area.At(time.Now()), "north"
	own := area.Order{ID: "o-own", To: area.To{Area: &north}, Area: "north", Kind: "announce", State: area.OrderPlayed, Attempt: 1, CreatedAt: now, EndedAt: &now, ExpiresAt: now, Repeat: 1, Priority: area.Normal, Redo: area.RedoRetry, IfBusy: area.BusyQueue, Languages: []string{}, History: []area.OrderStep{}}
	ended := area.Report{Work: "o-own", State: area.OrderPlayed, Device: "gate-1", Att: 1}
	l.report(ended, &own)
	l.report(ended, &own)
	if o := orderOf(t, r, "o-own"); o.State != area.OrderPlayed {
		t.Errorf("o-own is %+v", o)
	}
	waits := own
	waits.ID, waits.State, waits.EndedAt, waits.ExpiresAt = "o-waits", area.OrderWaiting, nil, area.At(time.Now().Add(time.Hour))
	l.report(area.Report{Work: "o-waits", State: area.OrderWaiting, Att: 1}, &waits)
	l.takes("o-waits")
	if err := stop(); err != nil {
		t.Fatal(err)
	}

	_, r, _ = started(t, localNorth(data))
	if o := orderOf(t, r, "o-2"); o.State != area.OrderAssigned || *o.Device != "gate-1" {
		t.Errorf("after a restart o-2 is %+v", o)
	}
	l = newLeader(t, r, 80)
	if h := l.takes("o-2"); h.Given == nil || *h.Given != (area.Assignment{Device: "gate-1", MID: "m1", Boot: 4}) {
		t.Errorf("handed over again: %+v", h)
	}
	l.takes("o-waits")
	write(t, "DELETE", r.HTTP+"/api/v1/orders/o-waits", "")
	l.until(area.TrunkCancel, func(m area.Trunk) bool { return m.Work == "o-waits" && m.Reason == area.EndUser })
	l.report(area.Report{Work: "o-waits", State: area.OrderCancelled, Att: 1, Reason: area.EndUser}, nil)
	l.report(area.Report{Work: "o-2", State: area.OrderFailed, Device: "gate-1", Att: 2, Reason: area.EndCut}, nil)
	if o := orderOf(t, r, "o-2"); o.State != area.OrderFailed || *o.Reason != area.EndCut {
		t.Errorf("o-2 is %+v", o)
	}
	if o := orderOf(t, r, "o-waits"); o.State != area.OrderCancelled {
		t.Errorf("o-waits is %+v", o)
	}
	if _, body := get(t, r.HTTP+"/api/v1/orders"); strings.Count(body, `"o-own"`) != 1 {
		t.Errorf("o-own stands more than once, or not at all: %s", body)
	}
}

// A program that knows only the classic calls claims through the leader: what it
// is granted is a hold, and false ends it there.
func TestAClassicDeviceClaimsThroughTheLeader(t *testing.T) {
	_, r, _ := started(t, localNorth(t.TempDir()))
	l := newLeader(t, r, 80)
	c, err := signalrtest.Dial(t.Context(), r.HTTP+hubPath, signalrtest.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	if _, err := c.Invoke(t.Context(), "ReceiveDeviceConnected", "old-1", "north", "1"); err != nil {
		t.Fatal(err)
	}
	if up := l.until(area.TrunkUp, func(m area.Trunk) bool { return m.Device == "old-1" }); up.Location != "1" {
		t.Errorf("told as %+v", up)
	}
	granted := make(chan error, 1)
	var calls sync.WaitGroup
	defer calls.Wait()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	calls.Go(func() {
		_, err := c.Invoke(ctx, "BroadcastWorkStatus", "north", true)
		granted <- err
	})
	hello := l.until(area.TrunkHeard, func(m area.Trunk) bool { return m.Device == "old-1" && m.Claim.Op == area.OpHello }).Claim
	l.say(area.Trunk{Op: area.TrunkSay, Device: "old-1", Answer: &area.Answer{Op: area.OpHello, Boot: 7, MID: hello.MID, Nonce: hello.Nonce, Claim: hello.Claim, Ack: hello.Seq, Term: 80, From: "gate-1"}})
	heard := l.until(area.TrunkHeard, func(m area.Trunk) bool { return m.Device == "old-1" && m.Claim.Op == area.OpWant })
	if !heard.Hold {
		t.Errorf("what went down is no hold: %+v", heard)
	}
	q := heard.Claim
	token := area.MakeToken(80, 1)
	l.say(area.Trunk{Op: area.TrunkSay, Device: "old-1", Answer: &area.Answer{Op: area.OpGrant, Boot: q.Boot, MID: q.MID, Claim: q.Claim, Ack: q.Seq, Token: token, Hold: true, Term: 80, From: "gate-1"}})
	if err := <-granted; err != nil {
		t.Fatalf("true is answered %v", err)
	}
	if _, err := c.Invoke(t.Context(), "BroadcastWorkStatus", "north", false); err != nil {
		t.Fatal(err)
	}
	l.until(area.TrunkHeard, func(m area.Trunk) bool {
		return m.Device == "old-1" && m.Claim.Op == area.OpDone && m.Claim.Token == token
	})
}
