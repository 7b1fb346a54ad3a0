package deviced

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tacet-hub/tacet/bridge/signalr/signalrtest"
	"github.com/tacet-hub/tacet/broker/area"
	"github.com/tacet-hub/tacet/broker/proof"
	"github.com/tacet-hub/tacet/cmd/internal/conf"
	"github.com/tacet-hub/tacet/cmd/internal/hubd"
	"github.com/tacet-hub/tacet/firmware/leader/office"
	"github.com/tacet-hub/tacet/firmware/uplink"
)

// wing is a real hub with an area of topology local, and real devices of it, all on
// loopback.
type wing struct {
	t    *testing.T
	cfg  conf.Config
	at   hubd.Ready
	stop func()

	program string // by which the devices lead that do not do so in this process
}

func newWing(t *testing.T) *wing {
	t.Helper()
	w := &wing{t: t, cfg: conf.Default()}
	w.cfg.HTTP.Addr, w.cfg.HTTP.AdminAddr, w.cfg.MQTT.Addr, w.cfg.Data, w.cfg.Speech.Engine = "127.0.0.1:0", "127.0.0.1:0", "127.0.0.1:0", t.TempDir(), "tone"
	a := conf.Area{}
	a.SetDefaults()
	a.ID, a.Name, a.Topology, a.Lease = "north", "North Wing", area.TopologyLocal, 3*time.Second // a machine may be busy for long
	w.cfg.Areas = []conf.Area{a}
	w.start()
	t.Cleanup(func() { w.stop() })
	return w
}

// start starts the hub, again where it was before.
func (w *wing) start() {
	w.t.Helper()
	h, err := hubd.New(w.cfg, hubd.Options{Patience: time.Minute}, silent) // a busy disk takes its time
	if err != nil {
		w.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- h.Run(ctx) }()
	w.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			w.t.Error(err)
		}
	})
	select {
	case w.at = <-h.Ready():
	case err := <-ended:
		w.t.Fatal(err)
	}
	w.cfg.HTTP.Addr, w.cfg.MQTT.Addr = strings.TrimPrefix(w.at.HTTP, "http://"), strings.TrimPrefix(w.at.MQTT, "mqtt://")
}

// device starts a simulated device; stop ends it.
func (w *wing) device(id, location string, says ...Announcement) (stop func()) {
	w.t.Helper()
	_, stop = w.deviceOf(inside, id, location, says...)
	return stop
}

// deviceOf is device, led by what lead makes.
func (w *wing) deviceOf(lead func(office.Setup, office.Link, func() time.Time, *slog.Logger) (Leader, error), id, location string, says ...Announcement) (d *Device, stop func()) {
	w.t.Helper()
	cfg := Default()
	cfg.Device, cfg.Area, cfg.Location, cfg.Sim, cfg.Data, cfg.Hub = id, "North Wing", location, true, filepath.Join(w.t.TempDir(), id), []string{w.at.MQTT}
	cfg.Announcements, cfg.Lead, cfg.Peers.LeaderProgram = says, lead, w.program
	cfg.Peers.Bind, cfg.Peers.Listen, cfg.Peers.Web = "127.0.0.1:0", "127.0.0.1:0", "127.0.0.1:0"
	d, err := New(cfg, leaderRelease, silent)
	if err != nil {
		w.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- d.Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			w.t.Error(err)
		}
	})
	w.t.Cleanup(stop)
	<-d.Ready()
	return d, stop
}

// listener hears what an area's topics say at one broker.
type listener struct {
	t    *testing.T
	c    *uplink.Client
	busy chan area.Busy
	led  chan area.Leader
}

func (w *wing) listen(url, id string) *listener {
	w.t.Helper()
	c, err := uplink.New(uplink.Config{Hubs: []string{url}, ClientID: id}, silent)
	if err != nil {
		w.t.Fatal(err)
	}
	l := &listener{t: w.t, c: c, busy: make(chan area.Busy, 1000), led: make(chan area.Leader, 1000)}
	for filter, f := range map[string]func(area.Message){
		area.BusyTopic("north"): func(m area.Message) {
			if b, err := area.ParseBusy(m.Payload); err == nil {
				l.busy <- b
			}
		},
		area.LeaderTopic("north"): func(m area.Message) {
			var led area.Leader
			if json.Unmarshal(m.Payload, &led) == nil {
				l.led <- led
			}
		},
	} {
		if _, err := c.Subscribe(filter, f); err != nil {
			w.t.Fatal(err)
		}
	}
	up := make(chan bool, 100)
	c.Watch(func(is bool, _ uint64, _ string) { up <- is })
	ctx, cancel := context.WithCancel(context.Background())
	var work sync.WaitGroup
	work.Go(func() { _ = c.Run(ctx) })
	w.t.Cleanup(func() { cancel(); work.Wait() })
	for !<-up {
	}
	return l
}

// local waits until the hub shows that a device leads which is not so called.
func (l *listener) local(but string) area.Leader {
	for led := range l.led {
		if led.Mode == area.LeaderLocal && led.Host != but {
			return led
		}
	}
	return area.Leader{}
}

func (l *listener) until(is func(area.Busy) bool) area.Busy {
	l.t.Helper()
	for b := range l.busy {
		if is(b) {
			return b
		}
	}
	return area.Busy{}
}

func plays(w area.WorkID) func(area.Busy) bool {
	return func(b area.Busy) bool { return b.Work != nil && *b.Work == w }
}

// rest asks the hub.
func (w *wing) rest(method, path, body string) (int, []byte) {
	w.t.Helper()
	r, err := http.NewRequestWithContext(context.Background(), method, w.at.HTTP+"/api/v1"+path, bytes.NewReader([]byte(body)))
	if err != nil {
		w.t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		w.t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	return res.StatusCode, b
}

// ended waits until the hub has the end of an order.
func (w *wing) ended(id area.WorkID) area.Order {
	w.t.Helper()
	look := time.NewTicker(20 * time.Millisecond)
	defer look.Stop()
	for range look.C {
		code, b := w.rest("GET", "/orders/"+string(id), "")
		var o area.Order
		if code == http.StatusOK && json.Unmarshal(b, &o) == nil && o.State.Ended() {
			return o
		}
	}
	return area.Order{}
}

// proves waits until the hub's record has so many plays, and sees to it that no two
// were at once.
func (w *wing) proves(plays uint64) {
	w.t.Helper()
	look := time.NewTicker(20 * time.Millisecond)
	defer look.Stop()
	for ; ; <-look.C {
		_, b := w.rest("GET", "/areas/north/proof", "")
		var v proof.Verdict
		if err := json.Unmarshal(b, &v); err != nil {
			w.t.Fatalf("%v in %s", err, b)
		}
		if v.Overlaps != 0 {
			w.t.Fatalf("overlaps: %s", b)
		}
		if v.Plays >= plays {
			return
		}
	}
}

// count waits until the hub has orders whose ids begin so, and counts them; that
// each of them has ended is seen to.
func (w *wing) count(prefix string) (n int) {
	w.t.Helper()
	look := time.NewTicker(20 * time.Millisecond)
	defer look.Stop()
	for ; n == 0; <-look.C {
		_, b := w.rest("GET", "/orders?area=north&limit=1000", "")
		var list struct{ Items []area.Order }
		if err := json.Unmarshal(b, &list); err != nil {
			w.t.Fatal(err)
		}
		for _, o := range list.Items {
			if strings.HasPrefix(string(o.ID), prefix) {
				w.ended(o.ID)
				n++
			}
		}
	}
	return n
}

// What an area says by its own schedule is said while the hub is away, once though
// two devices have it, and reaches the hub afterwards.
func TestAnAreaAnnouncesByItself(t *testing.T) {
	w := newWing(t)
	at := w.listen(w.at.MQTT, "hub-listener")
	for id, location := range map[string]string{"gate-1": "1", "gate-2": "2"} {
		w.device(id, location, Announcement{ID: "beacon", Every: area.Duration(leastEvery), Message: "still here", Chime: "none"})
	}
	led := at.local("")
	w.rest("POST", "/orders", `{"id":"o-1","to":{"area":"north"},"message":"boarding","chime":"none"}`)
	w.ended("o-1") // the area is led; nothing was announced yet
	w.stop()
	there := w.listen("mqtt://"+led.Addr, "leader-listener")
	said := map[area.WorkID]bool{}
	for len(said) < 1 {
		b := there.until(func(b area.Busy) bool { return b.Work != nil && strings.HasPrefix(string(*b.Work), "say-") })
		said[*b.Work] = true
	}
	there.until(func(b area.Busy) bool { return b.State == area.Idle })
	w.start()
	for id := range said {
		if o := w.ended(id); o.State != area.OrderPlayed {
			t.Errorf("%+v", o)
		}
		if n := w.count(string(id)); n != 1 {
			t.Errorf("%s is there %d times", id, n)
		}
	}
}

// An area goes on with its own leader: orders of the hub are played through it,
// once; without the hub what is handed in at the leader is played, and is the hub's
// to know afterwards, once; a classic program takes its turn there; and when the
// leader dies another goes on.
func TestAnAreaLedByItsOwnDevice(t *testing.T) {
	w := newWing(t)
	at := w.listen(w.at.MQTT, "hub-listener")
	stops := map[string]func(){"gate-1": w.device("gate-1", "1"), "gate-2": w.device("gate-2", "2")}
	led := at.local("")
	t.Logf("%s leads at %s", led.Host, led.Addr)

	if code, b := w.rest("POST", "/orders", `{"id":"o-1","to":{"area":"north"},"message":"boarding","chime":"none"}`); code != http.StatusAccepted {
		t.Fatalf("%d %s", code, b)
	}
	at.until(plays("o-1")) // the hub mirrors it
	if o := w.ended("o-1"); o.State != area.OrderPlayed {
		t.Fatalf("%+v", o)
	}

	// The hub is gone.
	w.stop()
	there := w.listen("mqtt://"+led.Addr, "leader-listener")
	submit := area.Message{Topic: area.SubmitTopic("north"), QoS: 1, Payload: []byte(`{"work":"w-9","body":{"message":"the hub is away","chime":"none"}}`)}
	if err := there.c.Publish(t.Context(), submit); err != nil {
		t.Fatal(err)
	}
	there.until(plays("w-9"))
	there.until(func(b area.Busy) bool { return b.State == area.Idle })

	// A classic program at the leader.
	program, err := signalrtest.Dial(t.Context(), "http://127.0.0.1"+strings.TrimPrefix(led.Web, "http://")+"/hubs/devices", signalrtest.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer program.Close()
	for _, call := range [][]any{{"ReceiveDeviceConnected", "classic-1", "North Wing", "3"}, {"BroadcastWorkStatus", "north", true}} {
		if _, err := program.Invoke(t.Context(), call[0].(string), call[1:]...); err != nil {
			t.Fatal(err)
		}
	}
	there.until(func(b area.Busy) bool { return holder(b) == "classic-1" })
	if _, err := program.Invoke(t.Context(), "BroadcastWorkStatus", "north", false); err != nil {
		t.Fatal(err)
	}

	// The hub is back.
	w.start()
	if o := w.ended("w-9"); o.State != area.OrderPlayed || o.Message == nil || *o.Message != "the hub is away" {
		t.Errorf("%+v", o)
	}
	if n := w.count("w-9"); n != 1 {
		t.Errorf("the order is there %d times", n)
	}

	// The leader dies, the other goes on.
	at = w.listen(w.at.MQTT, "hub-listener-2")
	if first := at.local(""); first.Host != led.Host {
		t.Errorf("led by %s, after the hub is back by %s", led.Host, first.Host)
	}
	stops[led.Host]()
	next := at.local(led.Host)
	if next.Term <= led.Term {
		t.Errorf("terms %d and then %d", led.Term, next.Term)
	}
	if code, b := w.rest("POST", "/orders", `{"id":"o-2","to":{"area":"north"},"message":"and on","chime":"none"}`); code != http.StatusAccepted {
		t.Fatalf("%d %s", code, b)
	}
	if o := w.ended("o-2"); o.State != area.OrderPlayed {
		t.Errorf("%+v", o)
	}
	if n := w.count("w-9"); n != 1 {
		t.Errorf("in the end the order is there %d times", n)
	}

	// The hub's record has what the leaders granted, also without it.
	w.proves(4) // o-1, w-9, the program's, o-2
}

// leaderRelease is that of the devices here, and of the program that is built for
// them.
const leaderRelease = "v9.9.9"

// leaderProgram builds it.
func leaderProgram(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), office.Program)
	cmd := exec.Command("go", "build", "-ldflags", "-X github.com/tacet-hub/tacet/cmd/internal/release.stamp=tacet-release:"+leaderRelease+":", "-o", path, "../../"+office.Program)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return path
}

// Devices lead by the program that is for it, which runs only where somebody leads;
// when it is killed another device leads, and nobody sounds beside somebody else.
func TestAnAreaLedByAProgram(t *testing.T) {
	w := newWing(t)
	w.program = leaderProgram(t)
	at := w.listen(w.at.MQTT, "hub-listener")
	devices := map[string]*Device{}
	devices["gate-1"], _ = w.deviceOf(nil, "gate-1", "1")
	devices["gate-2"], _ = w.deviceOf(nil, "gate-2", "2")
	led := at.local("")
	play := func(id area.WorkID) {
		t.Helper()
		if code, b := w.rest("POST", "/orders", `{"id":"`+string(id)+`","to":{"area":"north"},"message":"boarding","chime":"none"}`); code != http.StatusAccepted {
			t.Fatalf("%d %s", code, b)
		}
		if o := w.ended(id); o.State != area.OrderPlayed {
			t.Fatalf("%+v", o)
		}
	}
	play("o-1")
	for name, d := range devices {
		if s := d.Leads(); s.Starts > 0 != (name == led.Host) {
			t.Errorf("%s leads, and of %s: %+v", led.Host, name, s)
		}
	}
	p, err := os.FindProcess(devices[led.Host].Leads().PID)
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Kill(); err != nil {
		t.Fatal(err)
	}
	if next := at.local(led.Host); next.Term <= led.Term {
		t.Errorf("terms %d and then %d", led.Term, next.Term)
	}
	play("o-2")
	w.proves(2)
}
