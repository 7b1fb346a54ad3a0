package firmware

import (
	"bytes"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tacet-hub/tacet/bridge/signalr/signalrtest"
	"github.com/tacet-hub/tacet/broker/area"
	"github.com/tacet-hub/tacet/broker/clip"
	"github.com/tacet-hub/tacet/drivers/media"
	"github.com/tacet-hub/tacet/firmware/fetch"
)

// shelf is a hub's web listener that has clips; a clip that is held back comes
// when it is let go.
type shelf struct {
	t    *testing.T
	pipe *signalrtest.Pipe

	mu    sync.Mutex
	clips map[string][]byte // by path
	held  map[string]chan struct{}
	gone  map[string]bool // whose request has ended
}

func newShelf(t *testing.T, r *referee) *shelf {
	s := &shelf{t: t, clips: map[string][]byte{}, held: map[string]chan struct{}{}, gone: map[string]bool{}}
	s.pipe = signalrtest.NewPipe(http.HandlerFunc(s.serve))
	t.Cleanup(func() { _ = s.pipe.Close() })
	r.do(func() {
		l := area.Leader{Term: 7, Host: "hub-1", Web: "http://:8080", Mode: "hub"}
		r.publish(area.Message{Topic: area.LeaderTopic(north), Payload: l.Encode(), QoS: 1, Retain: true})
	})
	return s
}

func (s *shelf) serve(w http.ResponseWriter, r *http.Request) {
	if r.Host != "hub:8080" {
		s.t.Errorf("asked at %s", r.Host)
	}
	s.mu.Lock()
	b, held := s.clips[r.URL.Path], s.held[r.URL.Path]
	s.mu.Unlock()
	if held != nil {
		select {
		case <-held:
		case <-r.Context().Done():
			s.mu.Lock()
			s.gone[r.URL.Path] = true
			s.mu.Unlock()
			return
		}
	}
	if b == nil {
		http.NotFound(w, r)
		return
	}
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(b))
}

// tone puts a sound of so many seconds onto the shelf, and answers the work of it.
func (s *shelf) tone(seconds int) area.Body {
	b := media.Tone(float64(200+seconds), time.Duration(seconds)*time.Second).Bytes()
	name := clip.SumOf(b)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.clips["/clips/"+name.Hex()] = b
	text := name.String()
	return area.Body{Kind: "play", Clip: &text, Chime: "none", Repeat: 1}
}

func path(b area.Body) string { return "/clips/" + strings.TrimPrefix(*b.Clip, "sha256:") }

// hold keeps a clip back until it is let go.
func (s *shelf) hold(b area.Body) (letGo func()) {
	ch := make(chan struct{})
	s.mu.Lock()
	defer s.mu.Unlock()
	s.held[path(b)] = ch
	return func() { close(ch) }
}

func (s *shelf) ended(b area.Body) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.gone[path(b)]
}

// reader is a device that plays clips.
func reader(t *testing.T, r *referee, s *shelf, id area.DeviceID) *dev {
	return newDev(t, r, id, func(d *dev, _ *Config) {
		c, err := fetch.Open(fetch.Config{Dir: filepath.Join(d.data, "clips")}, fetch.NewWeb(fetch.WebConfig{Dial: s.pipe.Dial}))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(c.Close)
		d.clips = c
	})
}

func TestAClipIsThereBeforeTheAreaIsAskedFor(t *testing.T) {
	inBubble(t, func(t *testing.T, r *referee) {
		s := newShelf(t, r)
		d := reader(t, r, s, "gate-1")
		work := s.tone(3)
		letGo := s.hold(work)
		r.offer("gate-1", "o-1", 1, work)
		time.Sleep(20 * time.Second) // longer than a lease: the arbiter must hear of the device
		if n := len(r.told("", area.OpWant)); n != 0 {
			t.Errorf("%d wants before the clip is there", n)
		}
		if n := len(r.told("", area.OpTake)); n < 15 || n > 25 {
			t.Errorf("%d takes in 20 s", n)
		}
		// Others go on.
		r.offer("gate-1", "o-2", 1, speech("one"))
		time.Sleep(5 * time.Second)
		if p := d.plays(); len(p) != 1 || p[0].work != "o-2" {
			t.Errorf("while the clip is fetched: %+v", p)
		}
		letGo()
		time.Sleep(5 * time.Second)
		p := d.plays()
		if len(p) != 2 || p[1].work != "o-1" || p[1].to-p[1].from != 3*time.Second {
			t.Fatalf("plays = %+v", p)
		}
		if !bytes.Contains(d.sound().Bytes(), media.Tone(203, 3*time.Second).Bytes()) {
			t.Error("what was played is not the clip")
		}
		if done := r.told("", area.OpDone); len(done) != 2 || done[1].Result != area.Played || len(r.told("", area.OpDecline)) != 0 {
			t.Errorf("done = %+v", done)
		}
		// The second time it is there.
		began := time.Now()
		r.offer("gate-1", "o-3", 1, work)
		time.Sleep(5 * time.Second)
		if p := d.plays(); len(p) != 3 || d.clock.began.Add(p[2].from).Sub(began) > 100*time.Millisecond {
			t.Errorf("plays = %+v", p)
		}
	})
}

func TestAClipThatCannotBeHadIsSaidSo(t *testing.T) {
	inBubble(t, func(t *testing.T, r *referee) {
		s := newShelf(t, r)
		d := reader(t, r, s, "gate-1")
		missing, wrong, noise := s.tone(1), s.tone(2), s.tone(4)
		s.mu.Lock()
		delete(s.clips, path(missing))
		s.clips[path(wrong)] = []byte("something else")
		s.mu.Unlock()
		empty := area.Body{Kind: "play", Clip: new("sha256:12"), Repeat: 1}
		for w, b := range map[area.WorkID]area.Body{"missing": missing, "empty": empty, "wrong": wrong} {
			r.offer("gate-1", w, 1, b)
			time.Sleep(time.Second)
		}
		r.offer("gate-1", "wrong-2", 1, wrong)
		time.Sleep(20 * time.Second)
		if h := d.status(r).Health; !strings.Contains(h.Faults["clip"], "another clip") || d.board.Status.State() != LightFault {
			t.Errorf("faults = %v, the light shows %s", h.Faults, d.board.Status.State())
		}
		r.offer("gate-1", "noise", 1, noise)
		time.Sleep(time.Minute)
		reasons := map[area.WorkID]string{}
		for _, c := range r.told("", area.OpDecline) {
			reasons[c.Work] = c.Reason
		}
		if h := d.status(r).Health; len(h.Faults) != 0 || d.board.Status.State() != LightOK {
			t.Errorf("after one that could be played: faults = %v, the light shows %s", h.Faults, d.board.Status.State())
		}
		if len(reasons) != 4 || reasons["missing"] != area.EndClipMissing || reasons["wrong"] != area.EndClipHash || reasons["empty"] != area.EndClipMissing {
			t.Errorf("declined for %v", reasons)
		}
		if p := d.plays(); len(p) != 1 || p[0].work != "noise" {
			t.Errorf("plays = %+v", p)
		}
	})
}

// A device that was cut off from the clips speaks itself.
func TestATextIsSpokenHereWhereItsClipCannotBeHad(t *testing.T) {
	inBubble(t, func(t *testing.T, r *referee) {
		s := newShelf(t, r)
		d := reader(t, r, s, "gate-1")
		slow, gone := s.tone(5), s.tone(6)
		s.hold(slow)
		s.mu.Lock()
		delete(s.clips, path(gone))
		s.mu.Unlock()
		for i, b := range []area.Body{slow, gone} {
			b.Message = new("one two")
			began := time.Now()
			r.offer("gate-1", area.WorkID([]string{"o-1", "o-2"}[i]), 1, b)
			time.Sleep(10 * time.Second)
			p := d.plays()
			if len(p) != i+1 || p[i].to-p[i].from != 2*time.Second {
				t.Fatalf("plays = %+v", p)
			}
			if late, most := d.clock.began.Add(p[i].from).Sub(began), []time.Duration{ownVoice, lookTime}[i]+300*time.Millisecond; late > most {
				t.Errorf("it is spoken after %v, want %v at most", late, most)
			}
		}
		// One that is on the device already is played all the same.
		known := s.tone(4)
		r.offer("gate-1", "o-3", 1, known)
		time.Sleep(10 * time.Second)
		known.Message = new("one two")
		r.offer("gate-1", "o-4", 1, known)
		time.Sleep(10 * time.Second)
		if p := d.plays(); len(p) != 4 || p[3].to-p[3].from != 4*time.Second {
			t.Errorf("plays = %+v", p)
		}
	})
}

// An order that was cancelled while its clip was fetched is forgotten.
func TestAFetchEndsWithItsOrder(t *testing.T) {
	inBubble(t, func(t *testing.T, r *referee) {
		s := newShelf(t, r)
		d := reader(t, r, s, "gate-1")
		work := s.tone(3)
		letGo := s.hold(work)
		r.offer("gate-1", "o-1", 1, work)
		time.Sleep(3 * time.Second)
		r.do(func() { r.takers["o-1"] = "gate-2" })
		time.Sleep(3 * time.Second)
		if !s.ended(work) {
			t.Error("the clip is still fetched")
		}
		letGo()
		takes := len(r.told("", area.OpTake))
		time.Sleep(10 * time.Second)
		if n := len(r.told("", area.OpTake)); n != takes || len(d.plays()) != 0 || len(r.told("", area.OpDecline)) != 0 {
			t.Errorf("%d more takes, plays %+v", n-takes, d.plays())
		}
	})
}

// An emergency is not kept waiting by what began while its clip was fetched.
func TestAnEmergencyWaitsForItsClipAlone(t *testing.T) {
	inBubble(t, func(t *testing.T, r *referee) {
		s := newShelf(t, r)
		d := reader(t, r, s, "gate-1")
		fire, lost := s.tone(2), s.tone(3)
		letGo := s.hold(fire)
		s.hold(lost)
		r.do(func() { r.prio = area.Emergency })
		r.offer("gate-1", "fire", 1, fire)
		time.Sleep(time.Second)
		r.do(func() { r.prio = area.Normal })
		r.offer("gate-1", "o-1", 1, speech("one two three"))
		time.Sleep(2 * time.Second)
		if n := len(r.told("", area.OpWant)); n != 0 {
			t.Errorf("%d wants while an emergency is fetched", n)
		}
		letGo()
		time.Sleep(10 * time.Second)
		if p := d.plays(); len(p) != 2 || p[0].work != "fire" || p[1].work != "o-1" {
			t.Errorf("plays = %+v", p)
		}
		// One whose clip does not come is given back, so that a neighbour may try.
		r.do(func() { r.prio = area.Emergency })
		r.offer("gate-1", "lost", 1, lost)
		time.Sleep(inDanger + time.Second)
		if c := r.told("", area.OpDecline); len(c) != 1 || c[0].Work != "lost" || c[0].Reason != area.EndClipMissing {
			t.Errorf("declined = %+v", c)
		}
	})
}

// Who could not do a work leaves it to the neighbours the next time.
func TestAWorkThatWasGivenBackGoesToANeighbour(t *testing.T) {
	inBubble(t, func(t *testing.T, r *referee) {
		s := newShelf(t, r)
		one, two := reader(t, r, s, "gate-1"), reader(t, r, s, "gate-2")
		work := s.tone(2)
		s.mu.Lock()
		sound := s.clips[path(work)]
		delete(s.clips, path(work))
		s.mu.Unlock()
		r.offer("gate-1", "o-1", 1, work)
		time.Sleep(time.Second)
		s.mu.Lock()
		s.clips[path(work)] = sound
		s.mu.Unlock()
		r.offer("", "o-1", 2, work)
		time.Sleep(5 * time.Second)
		if len(one.plays()) != 0 || len(two.plays()) != 1 {
			t.Errorf("gate-1 played %+v, gate-2 %+v", one.plays(), two.plays())
		}
	})
}

func TestWhereTheWebListenerIs(t *testing.T) {
	for _, c := range []struct{ configured, hub, told, want string }{
		{"", "mqtt://hub.local:1883", "http://:8080", "http://hub.local:8080"},
		{"", "mqtts://hub.local:8883", "https://:8443", "https://hub.local:8443"},
		{"", "mqtt://[fe80::1]:1883", "http://:8080", "http://[fe80::1]:8080"},
		{"", "mqtt://hub.local:1883", "http://192.0.2.1:8080", "http://hub.local:8080"},
		{"", "ws://hub.local:80/mqtt", "http://:8080", "http://hub.local:80"},
		{"", "wss://site.example:443/tacet/mqtt", "", "https://site.example:443/tacet"},
		{"https://site.example", "mqtt://hub.local:1883", "http://:8080", "https://site.example"},
		{"", "mqtt://hub.local:1883", "", ""},
		{"", "", "http://:8080", ""},
		{"", "mqtt://hub.local:1883", "gopher://:70", ""},
		{"", "mqtt://hub.local:1883", "http://", ""},
	} {
		if got := WebOf(c.configured, c.hub, c.told); got != c.want {
			t.Errorf("WebOf(%q, %q, %q) = %q, want %q", c.configured, c.hub, c.told, got, c.want)
		}
	}
}

// Clips come from the hub, whoever leads the area: a leader has no more than the
// neighbours have.
func TestALeaderIsNoHub(t *testing.T) {
	inBubble(t, func(t *testing.T, r *referee) {
		newShelf(t, r)
		home := ""
		d := newDev(t, r, "gate-1", func(d *dev, _ *Config) { d.parts.Home = func() string { return home } })
		time.Sleep(time.Second)
		if got := d.Web(); got != "http://hub:8080" {
			t.Errorf("the hub is at %q", got)
		}
		r.do(func() {
			l := area.Leader{Term: 80, Host: "gate-2", Web: "http://:9", Mode: area.LeaderLocal}
			r.publish(area.Message{Topic: area.LeaderTopic(north), Payload: l.Encode(), QoS: 1, Retain: true})
		})
		time.Sleep(time.Second)
		if got := d.Web(); got != "http://hub:8080" {
			t.Errorf("with a leader it is at %q", got)
		}
		if home = "https://hub.local:8443"; d.Web() != home {
			t.Errorf("as the roster says it is at %q", d.Web())
		}
	})
}
