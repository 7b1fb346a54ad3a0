package deviced

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/tacet-hub/tacet/bridge/signalr/signalrtest"
	"github.com/tacet-hub/tacet/broker/area"
	"github.com/tacet-hub/tacet/broker/auth"
	"github.com/tacet-hub/tacet/broker/clip"
	"github.com/tacet-hub/tacet/cmd/internal/leaderd"
	"github.com/tacet-hub/tacet/firmware/fetch"
	"github.com/tacet-hub/tacet/firmware/leader"
	"github.com/tacet-hub/tacet/firmware/leader/office"
	"github.com/tacet-hub/tacet/firmware/uplink"
)

var silent = slog.New(slog.DiscardHandler)

// alone is an area whose hub cannot be reached, and the device that leads it.
type alone struct {
	t     *testing.T
	h     *hosting
	led   leaderd.Leader
	clips *fetch.Cache
	doc   area.Peers
	mqtt  string // of the leader's broker
	web   string // of its web listener
	seen  chan area.Busy
}

// inside leads in the process of the test.
func inside(s office.Setup, link office.Link, now func() time.Time, log *slog.Logger) (Leader, error) {
	return leaderd.New(s, link, now, log)
}

// nobody is an address where no hub listens.
const nobody = "mqtt://127.0.0.1:1"

func newAlone(t *testing.T, change func(*area.Peers)) *alone {
	t.Helper()
	dir := t.TempDir()
	cfg := Default()
	cfg.Device, cfg.Area, cfg.Sim, cfg.Data, cfg.Hub = "gate-1", "north", true, dir, []string{nobody}
	cfg.Peers.Listen, cfg.Peers.Web, cfg.Lead = "127.0.0.1:0", "127.0.0.1:0", inside
	u, err := cfg.uplink(cfg.Device)
	if err != nil {
		t.Fatal(err)
	}
	clips, err := cfg.fetcher(u, nil, nil, silent)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(clips.Close)
	a := &alone{t: t, clips: clips, seen: make(chan area.Busy, 1000), doc: area.Peers{
		V: 1, Rev: 1, Area: "north", Name: "North Wing", Hub: "hub-1", Topology: area.TopologyLocal, Mode: area.ModeAvailable, Policy: area.PolicyStop, LeaseMs: 3000, Volume: 70,
		Open: true, Key: make([]byte, area.AreaKeySize), Locations: []area.PeerPlace{{ID: "1", Name: "Gate 1"}}, Members: []area.Member{{Device: "gate-1", MID: "m1", Index: 16, Addr: "127.0.0.1:7946"}, {Device: "gate-2", MID: "m2", Index: 17}},
	}}
	if change != nil {
		change(&a.doc)
	}
	if a.h, err = newHosting(cfg, u, "v1", time.Now, func() {}, silent); err != nil {
		t.Fatal(err)
	}
	a.led = a.h.leader.(leaderd.Leader)
	ctx, stop := context.WithCancel(context.Background())
	ready := make(chan [2]string, 10)
	var work sync.WaitGroup
	work.Go(func() {
		err := a.h.beside(ctx, func(ctx context.Context) error {
			return a.led.Lead(ctx, leader.Reign{Peers: a.doc, Ready: func(addr, web string, _ uint64) { ready <- [2]string{addr, web} }, Heard: func(uint64) {}, Document: func([]byte) {}})
		})
		if err != nil {
			t.Errorf("the reign ends with %v", err)
		}
		close(ready)
	})
	t.Cleanup(func() {
		stop()
		work.Wait()
		if err := a.h.close(); err != nil {
			t.Error(err)
		}
	})
	at, ok := <-ready
	if !ok {
		t.FailNow()
	}
	a.mqtt, a.web = "mqtt://"+at[0], "http://127.0.0.1"+at[1][len("http://"):]
	return a
}

// device starts a simulated device at the leader.
func (a *alone) device(id, location string) {
	a.t.Helper()
	cfg := Default()
	cfg.Device, cfg.Area, cfg.Location, cfg.Sim, cfg.Data, cfg.Hub = id, "North Wing", location, true, filepath.Join(a.t.TempDir(), id), []string{a.mqtt}
	d, err := New(cfg, "v1", silent)
	if err != nil {
		a.t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- d.Run(ctx) }()
	a.t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			a.t.Error(err)
		}
	})
	<-d.Ready()
}

// watch hears what the area does, from when it returns.
func (a *alone) watch() {
	a.t.Helper()
	c, err := uplink.New(uplink.Config{Hubs: []string{a.mqtt}, ClientID: "watcher"}, silent)
	if err != nil {
		a.t.Fatal(err)
	}
	if _, err := c.Subscribe(area.BusyTopic("north"), func(m area.Message) {
		if b, err := area.ParseBusy(m.Payload); err == nil {
			a.seen <- b
		}
	}); err != nil {
		a.t.Fatal(err)
	}
	up := make(chan bool, 100)
	c.Watch(func(is bool, _ uint64, _ string) { up <- is })
	ctx, stop := context.WithCancel(context.Background())
	var work sync.WaitGroup
	work.Go(func() { _ = c.Run(ctx) })
	a.t.Cleanup(func() { stop(); work.Wait() })
	for !<-up {
	}
}

// until waits for a state, in which and before which nobody sounds without a right.
func (a *alone) until(is func(area.Busy) bool) area.Busy {
	a.t.Helper()
	for b := range a.seen {
		if len(b.Intruders) > 0 {
			a.t.Errorf("intruders: %v", b.Intruders)
		}
		if is(b) {
			return b
		}
	}
	return area.Busy{}
}

func holder(b area.Busy) string {
	if b.Holder == nil {
		return ""
	}
	return string(*b.Holder)
}

// A classic SignalR program takes its turn at the leader beside MQTT devices,
// without any hub.
func TestAClassicProgramTakesItsTurnAtTheLeader(t *testing.T) {
	a := newAlone(t, nil)
	a.watch()
	a.device("gate-1", "1")
	a.device("gate-2", "2")
	told := make(chan bool, 100)
	c, err := signalrtest.Dial(t.Context(), a.web+"/hubs/devices", signalrtest.Options{On: map[string]func([]json.RawMessage){
		"ReceiveWorkStatus": func(args []json.RawMessage) { told <- string(args[0]) == "true" },
	}})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := c.Invoke(t.Context(), "ReceiveDeviceConnected", "classic-1", "North Wing", "3"); err != nil {
		t.Fatal(err)
	}
	if err := a.led.Submit(t.Context(), area.Submit{Work: "w-1", Body: []byte(`{"message":"the gate is closing","chime":"none"}`)}); err != nil {
		t.Fatal(err)
	}
	first := a.until(func(b area.Busy) bool { return b.State == area.Held })
	if !slices.Contains([]string{"gate-1", "gate-2"}, holder(first)) || first.Work == nil || *first.Work != "w-1" {
		t.Fatalf("holds: %s, work %v", holder(first), first.Work)
	}
	for !<-told { // another device holds the area
	}
	if _, err := c.Invoke(t.Context(), "BroadcastWorkStatus", "north", true); err != nil {
		t.Fatal(err)
	}
	a.until(func(b area.Busy) bool { return holder(b) == "classic-1" }) // and not before w-1 was over: until has seen all states
	if err := a.led.Submit(t.Context(), area.Submit{Work: "w-2", Body: []byte(`{"message":"it is closed","chime":"none"}`)}); err != nil {
		t.Fatal(err)
	}
	if b := a.until(func(b area.Busy) bool { return b.Queued > 0 }); holder(b) != "classic-1" {
		t.Errorf("while the program sounds: %+v", b)
	}
	if _, err := c.Invoke(t.Context(), "BroadcastWorkStatus", "north", false); err != nil {
		t.Fatal(err)
	}
	a.until(func(b area.Busy) bool { return b.Work != nil && *b.Work == "w-2" })
	a.until(func(b area.Busy) bool { return b.State == area.Idle })
	if !a.led.CutOff() {
		t.Error("it is not cut off")
	}
	look := time.NewTicker(20 * time.Millisecond)
	defer look.Stop()
	for a.led.Stats().Owed < 2 { // what the hub is to be told is written down beside what the area says
		<-look.C
	}
}

// A SignalR program of the full calls takes a work of the leader's area, plays it
// under a lease that it renews, and is done, beside an MQTT device and without any
// hub.
func TestAFullProgramWorksAtTheLeader(t *testing.T) {
	a := newAlone(t, nil)
	a.watch()
	offered := make(chan area.Offer, 100)
	c, err := signalrtest.Dial(t.Context(), a.web+"/hubs/devices", signalrtest.Options{On: map[string]func([]json.RawMessage){
		"WorkOffered": func(args []json.RawMessage) {
			if o, err := area.ParseOffer(args[0]); err == nil {
				offered <- o
			}
		},
	}})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	invoke := func(answer any, method string, args ...any) {
		t.Helper()
		raw, err := c.Invoke(t.Context(), method, args...)
		if err != nil || answer != nil && json.Unmarshal(raw, answer) != nil {
			t.Fatalf("%s: %s, %v", method, raw, err)
		}
	}
	a.device("gate-1", "1") // it waits for its turn, and has it once the program is done
	invoke(nil, "Register", map[string]any{"device": "web-1", "area": "north", "location": "1", "boot": 1, "mid": "w"})
	full := area.DeviceID("web-1")
	if err := a.led.Submit(t.Context(), area.Submit{Work: "w-1", Device: &full, Body: []byte(`{"message":"by the full calls","chime":"none"}`)}); err != nil {
		t.Fatal(err)
	}
	o := <-offered
	var took struct {
		Att  int       `json:"att"`
		Body area.Body `json:"body"`
	}
	if invoke(&took, "TakeWork", o.Work); o.Work != "w-1" || took.Att != 1 || *took.Body.Message != "by the full calls" {
		t.Fatalf("took %+v of %+v", took, o)
	}
	var granted struct {
		Token area.Token `json:"token"`
	}
	invoke(&granted, "Claim", "north", map[string]any{"claim": 1, "work": o.Work, "dur_ms": 1000})
	a.until(func(b area.Busy) bool { return holder(b) == "web-1" && b.Work != nil && *b.Work == "w-1" })
	var lease struct {
		LeaseMs int64 `json:"lease_ms"`
	}
	if invoke(&lease, "Renew", "north", granted.Token); granted.Token == 0 || lease.LeaseMs != a.doc.LeaseMs {
		t.Errorf("token %d, a lease of %d ms", granted.Token, lease.LeaseMs)
	}
	if err := a.led.Submit(t.Context(), area.Submit{Work: "w-2", Device: new(area.DeviceID("gate-1")), Body: []byte(`{"message":"over MQTT","chime":"none"}`)}); err != nil {
		t.Fatal(err)
	}
	if invoke(nil, "Renew", "north", granted.Token); holder(a.until(func(b area.Busy) bool { return b.Queued > 0 })) != "web-1" {
		t.Error("the area is another's while the program has its lease")
	}
	invoke(nil, "Done", "north", granted.Token, "played")
	a.until(func(b area.Busy) bool { return holder(b) == "gate-1" && b.Work != nil && *b.Work == "w-2" })
	a.until(func(b area.Busy) bool { return b.State == area.Idle })
}

// Where the hub asks who comes, so does its leader; clips are for who is known.
func TestWhoIsServedByTheLeader(t *testing.T) {
	const till = "tct_0123456789ABCDEFGHJKMNPQRSTVWXYZ"
	hash, err := auth.HashPassword([]byte("classic's own"))
	if err != nil {
		t.Fatal(err)
	}
	a := newAlone(t, func(p *area.Peers) {
		p.Open, p.Credentials = false, []area.Credential{{Name: "classic-1", Hash: hash}}
		sum := func(s string) string { return fmt.Sprintf("%x", sha256.Sum256([]byte(s))) }
		p.People = []area.Person{
			{Name: "ann", Kind: area.PersonUser, Hash: hash, Role: "operator"}, {Name: "till", Kind: area.PersonToken, Hash: sum(till), Role: "announcer"},
			{Name: "old", Kind: area.PersonToken, Hash: sum(till + "-old"), Role: "operator", ExpiresMs: 1},
		}
	})
	token := base64.StdEncoding.EncodeToString([]byte("classic-1:classic's own"))
	c, err := signalrtest.Dial(t.Context(), a.web+"/hubs/devices", signalrtest.Options{AccessToken: token})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := c.Invoke(t.Context(), "ReceiveDeviceConnected", "classic-1", "north", "3"); err != nil {
		t.Errorf("its own name: %v", err)
	}
	if _, err := c.Invoke(t.Context(), "ReceiveDeviceConnected", "gate-2", "north", "2"); err == nil {
		t.Error("it may be another device")
	}
	if _, err := signalrtest.Dial(t.Context(), a.web+"/hubs/devices", signalrtest.Options{}); err == nil {
		t.Error("somebody who is not known is let in")
	}
	a.people(till)
	sound := []byte("a clip of this device")
	sum := clip.Sum(sha256.Sum256(sound))
	get := func(user, password string) (int, []byte) {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, a.web+"/clips/"+sum.Hex(), nil)
		if err != nil {
			t.Fatal(err)
		}
		if user != "" {
			r.SetBasicAuth(user, password)
		}
		res, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		b, _ := io.ReadAll(res.Body)
		return res.StatusCode, b
	}
	if code, _ := get("", ""); code != http.StatusUnauthorized {
		t.Errorf("a clip for nobody: %d", code)
	}
	if code, _ := get("gate-2", leader.Secret(a.doc.Key, "gate-2")); code != http.StatusNotFound {
		t.Errorf("a clip that is not here: %d", code)
	}
	shelf := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(sound) }))
	defer shelf.Close()
	f, err := a.clips.Fetch(t.Context(), func() string { return shelf.URL }, sum.String())
	if err != nil {
		t.Fatal(err)
	}
	f.Close()
	if code, b := get("gate-2", leader.Secret(a.doc.Key, "gate-2")); code != http.StatusOK || !bytes.Equal(b, sound) {
		t.Errorf("a clip that is here: %d, %q", code, b)
	}
}

// people tries who may announce in the area while the hub is away: with their rights
// there, and no longer than they have them.
func (a *alone) people(till string) {
	a.t.Helper()
	dial := func(token string) *signalrtest.Client {
		c, err := signalrtest.Dial(a.t.Context(), a.web+"/hubs/devices", signalrtest.Options{AccessToken: token})
		if err != nil {
			a.t.Fatal(err)
		}
		a.t.Cleanup(func() { _ = c.Close() })
		return c
	}
	ann, shop := dial(base64.StdEncoding.EncodeToString([]byte("ann:classic's own"))), dial(till)
	order := map[string]any{"id": "o-1", "to": map[string]any{"area": "north"}, "message": "we close"}
	if _, err := shop.Invoke(a.t.Context(), "Announce", order); err != nil {
		a.t.Errorf("an order of a token: %v", err)
	}
	if _, err := shop.Invoke(a.t.Context(), "GetArea", "north"); err != nil {
		a.t.Errorf("it may not look: %v", err)
	}
	if _, err := shop.Invoke(a.t.Context(), "StopArea", "north"); err == nil {
		a.t.Error("an announcer stops the area")
	}
	if b, err := ann.Invoke(a.t.Context(), "StopArea", "north"); err != nil || !bytes.Contains(b, []byte("o-1")) {
		a.t.Errorf("an operator stops the area: %s %v", b, err)
	}
	if _, err := ann.Invoke(a.t.Context(), "ReceiveDeviceConnected", "gate-9", "south", "2"); err == nil {
		a.t.Error("he speaks for a device of another area")
	}
	for _, token := range []string{till + "-old", till + "-new", base64.StdEncoding.EncodeToString([]byte("ann:wrong"))} {
		if _, err := signalrtest.Dial(a.t.Context(), a.web+"/hubs/devices", signalrtest.Options{AccessToken: token}); err == nil {
			a.t.Errorf("%.12s… is let in", token)
		}
	}
}
