package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/tacet-hub/tacet/broker/area"
	"github.com/tacet-hub/tacet/drivers/media"
)

// sweep is a sound that is like itself at one place alone: a tone that rises
// from 300 to 3,000 Hz.
func sweep(d time.Duration) media.Sound {
	s := make(media.Sound, media.Samples(d))
	for i := range s {
		at := float64(i) / media.Rate
		s[i] = int16(9000 * math.Sin(2*math.Pi*(300*at+2700*at*at/(2*d.Seconds()))))
	}
	return s
}

// likeness is how much a recording is like a sound: 1 is the same. Silence does not
// count. A device on a busy machine is late at times, and then
// silent for a moment: its samples are all there, and none are others.
func likeness(recorded []int16, sound media.Sound) (best float64) {
	a, b := voiced(recorded), voiced(sound)
	for shift := -20; shift <= 20; shift++ {
		var ab, aa, bb float64
		for i := range b {
			x := 0.0
			if k := i + shift; k >= 0 && k < len(a) {
				x = float64(a[k])
			}
			y := float64(b[i])
			ab, aa, bb = ab+x*y, aa+x*x, bb+y*y
		}
		if aa > 0 && bb > 0 {
			best = max(best, ab/math.Sqrt(aa*bb))
		}
	}
	return best
}

// voiced is samples without those that are nothing.
func voiced(samples []int16) (out []int16) {
	for _, s := range samples {
		if s != 0 {
			out = append(out, s)
		}
	}
	return out
}

// clip is a clip as the hub tells of it.
type clip struct {
	SHA256     string
	Bytes      int
	DurationMs int64 `json:"duration_ms"`
	Type       string
}

// upload sends a sound file to the hub.
func (h *hub) upload(b []byte, header ...string) (c clip) {
	h.t.Helper()
	h.call("POST", "/clips", b, append(header, "Content-Type", "audio/wav")...).want(h.t, http.StatusCreated, &c)
	return c
}

// heard fails the test unless a device has played a work, and its recording has
// the sound.
func (g *gate) heard(work area.WorkID, sound media.Sound) {
	g.t.Helper()
	samples, list := g.recording()
	from := -1
	for _, l := range list {
		switch {
		case l.Work == nil || *l.Work != string(work):
		case l.Event == "start":
			from = l.Sample
		case l.Event == "end" && from >= 0:
			if like := likeness(samples[from:l.Sample], sound); like < 0.98 {
				g.t.Errorf("%s: what was recorded of %s is like the sound by %.3f", g.id, work, like)
			}
			return
		}
	}
	g.t.Errorf("%s has not played %s", g.id, work)
}

// gateWith is a device whose configuration has more lines.
func (h *hub) gateWith(id, in, lines string) *gate {
	h.t.Helper()
	dir := h.t.TempDir()
	file := filepath.Join(dir, "device.yaml")
	text := fmt.Sprintf("device: %s\narea: %s\nhub: [%q]\ndata: %s\naudio: {volume: 100}\n%s\n", id, in, "mqtt://127.0.0.1:"+port(h.t, h.ready.MQTT), filepath.Join(dir, "data"), lines)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		h.t.Fatal(err)
	}
	g := &gate{id: id, wav: filepath.Join(dir, id+".wav")}
	g.program = run(h.t, tacetDevice(h.t), "run", "--sim", "--config", file, "--wav", g.wav)
	g.line(0, "ready", func(s string) bool { return strings.HasPrefix(s, "ready device="+id+" hub=mqtt://") })
	return g
}

// TestClip: a sound file is sent to the hub, announced, fetched by the device,
// which knows the broker alone, and heard as it is.
func TestClip(t *testing.T) {
	t.Parallel()
	h := startProcess(t, t.TempDir())
	w := h.watch()
	g := h.gateWith("gate-1", "north", `location: "1"`)
	sound := sweep(1500 * time.Millisecond)
	c := h.upload(media.EncodeWAV(sound))
	same(t, "the clip", c, clip{SHA256: c.SHA256, Bytes: 2*len(sound) + wavHeader, DurationMs: 1500, Type: "audio/wav"})
	for _, chime := range []string{"none", "beep"} { // fetched, then from the cache
		asked := time.Now()
		id := h.announce(`{"to":{"location":"1"},"clip":"sha256:` + c.SHA256 + `","volume":100,"chime":"` + chime + `"}`)
		o := w.ended(id)
		before, err := media.Chime(chime)
		if err != nil {
			t.Fatal(err)
		}
		want := media.Announce(before, sound, 1)
		if o.State != area.OrderPlayed || o.DurationMs != want.Duration().Milliseconds() {
			t.Errorf("%s: %d ms, want %d", story(o), o.DurationMs, want.Duration().Milliseconds())
		}
		g.heard(id, want)
		t.Logf("chime %s: from the order to its first sound %d ms", chime, g.plays()[len(g.plays())-1].start-asked.UnixMilli())
	}
	out, errs, code := h.tacet("clip", "list", "--url", h.ready.HTTP)
	if code != 0 || !strings.Contains(out, "sha256:"+c.SHA256+"  1.5s") {
		t.Errorf("tacet clip list exits %d: %s%s", code, out, errs)
	}
	same(t, "clips given out", h.metric("tacet_clips_read"), 1)
	oneVoice(t, nil, g)
}

// TestClipWithCredentials: where somebody has to sign in, a device fetches with
// what it has for MQTT.
func TestClipWithCredentials(t *testing.T) {
	t.Parallel()
	m := startManned(t)
	ann := []string{"Authorization", "Bearer " + m.login("ann")}
	secret := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, []byte(m.words["gate-1"]+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	g := m.gateWith("gate-1", "north", "username: gate-1\npassword_file: "+secret)
	sound := sweep(time.Second)
	c := m.upload(media.EncodeWAV(sound), ann...)
	same(t, "a clip for nobody", m.call("GET", m.ready.HTTP+"/clips/"+c.SHA256, nil).status, http.StatusUnauthorized)
	var made area.Accepted
	m.call("POST", "/orders", `{"to":{"area":"north"},"volume":100,"clip":"sha256:`+c.SHA256+`"}`, ann...).want(t, http.StatusAccepted, &made)
	o := m.endedAs(made.ID, ann...)
	if o.State != area.OrderPlayed {
		t.Errorf("%s", story(o))
	}
	g.heard(made.ID, sound)
}

// endedAs waits until an order has ended, asking as somebody.
func (h *hub) endedAs(id area.WorkID, who ...string) (o area.Order) {
	h.t.Helper()
	again := time.NewTicker(50 * time.Millisecond)
	defer again.Stop()
	for end := time.Now().Add(patience); ; <-again.C {
		h.call("GET", "/orders/"+string(id), nil, who...).want(h.t, http.StatusOK, &o)
		if o.State.Ended() {
			return o
		}
		if time.Now().After(end) {
			h.t.Fatalf("order %s has not ended: %s", id, story(o))
		}
	}
}

// meddler is a web listener between device and hub that may cut and change what
// passes.
type meddler struct {
	*httptest.Server
	mu     sync.Mutex
	to     string
	ranges []string
	part   chan struct{}     // closed when the first bytes of a clip have passed
	cut    chan struct{}     // then nothing passes, until it is closed
	bad    map[string]string // by path: "changed", or "huge", which claims 4 GB
}

func newMeddler(t *testing.T, to string) *meddler {
	m := &meddler{to: to, part: make(chan struct{}), cut: make(chan struct{})}
	m.Server = httptest.NewServer(http.HandlerFunc(m.pass))
	t.Cleanup(m.Close)
	return m
}

func (m *meddler) pass(w http.ResponseWriter, r *http.Request) {
	m.mu.Lock()
	to, first := m.to, len(m.ranges) == 0 && m.part != nil
	m.ranges = append(m.ranges, r.Header.Get("Range"))
	m.mu.Unlock()
	req, err := http.NewRequestWithContext(r.Context(), r.Method, to+r.URL.Path, nil)
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	req.Header = r.Header
	res, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	defer res.Body.Close()
	for _, k := range []string{"Content-Length", "Content-Range", "Content-Type", "ETag"} {
		if v := res.Header.Get(k); v != "" {
			w.Header().Set(k, v)
		}
	}
	if m.bad[r.URL.Path] == "huge" {
		w.Header().Set("Content-Length", strconv.Itoa(4<<30))
	}
	w.WriteHeader(res.StatusCode)
	switch {
	case m.bad[r.URL.Path] == "changed":
		b, _ := io.ReadAll(res.Body)
		if len(b) > 100 {
			b[100] ^= 1
		}
		_, _ = w.Write(b)
	case first:
		_, _ = io.CopyN(w, res.Body, 60_000)
		_ = http.NewResponseController(w).Flush()
		close(m.part)
		<-m.cut
		panic(http.ErrAbortHandler)
	default:
		_, _ = io.Copy(w, res.Body)
	}
}

// TestHubKilledInMidFetch: the hub dies while a device fetches a clip. When it is
// back the device goes on where it was, and the order is played.
func TestHubKilledInMidFetch(t *testing.T) {
	t.Parallel()
	data := t.TempDir()
	mqtt := newDoor(t)
	first := startProcess(t, data)
	mqtt.lead(t, first.ready.MQTT)
	web := newMeddler(t, first.ready.HTTP)
	var once sync.Once
	letGo := func() { once.Do(func() { close(web.cut) }) }
	defer letGo()
	h := first.through(mqtt, mqtt)
	g := h.gateWith("gate-1", "north", "web: "+web.URL)
	sound := sweep(3 * time.Second)
	c := first.upload(media.EncodeWAV(sound))
	id := first.announce(`{"to":{"area":"north"},"volume":100,"clip":"sha256:` + c.SHA256 + `"}`)
	select {
	case <-web.part:
	case <-time.After(patience):
		t.Fatal("the device has not begun to fetch")
	}
	first.signal(syscall.SIGKILL)
	first.wait()
	letGo()

	second := startProcess(t, data)
	web.mu.Lock()
	web.to = second.ready.HTTP
	web.mu.Unlock()
	mqtt.lead(t, second.ready.MQTT)
	if o := second.endedAs(id); o.State != area.OrderPlayed {
		t.Errorf("the order ended %s", story(o))
	}
	g.heard(id, sound)
	web.mu.Lock()
	defer web.mu.Unlock()
	if last := web.ranges[len(web.ranges)-1]; !strings.HasPrefix(last, "bytes=") {
		t.Errorf("the device asked for %q: it has not resumed", web.ranges)
	}
}

// TestBadClips: what is not the clip, or is gone, ends the order with the reason;
// other orders go on.
func TestBadClips(t *testing.T) {
	t.Parallel()
	h := startProcess(t, t.TempDir())
	web := newMeddler(t, h.ready.HTTP)
	web.part = nil
	w := h.watch()
	g := h.gateWith("gate-1", "north", "web: "+web.URL)
	c := h.upload(media.EncodeWAV(sweep(time.Second)))
	huge := h.upload(media.EncodeWAV(sweep(900 * time.Millisecond)))
	web.bad = map[string]string{"/clips/" + c.SHA256: "changed", "/clips/" + huge.SHA256: "huge"}
	gone := h.upload(media.EncodeWAV(sweep(1100 * time.Millisecond)))
	if err := os.Remove(filepath.Join(h.data, "clips", gone.SHA256)); err != nil {
		t.Fatal(err)
	}
	wrong := h.announce(`{"to":{"area":"north"},"clip":"sha256:` + c.SHA256 + `"}`)
	large := h.announce(`{"to":{"area":"north"},"clip":"sha256:` + huge.SHA256 + `"}`)
	missing := h.announce(`{"to":{"area":"north"},"clip":"sha256:` + gone.SHA256 + `"}`)
	good := h.announce(`{"to":{"area":"north"},"message":"Go"}`)
	for _, want := range []struct {
		id     area.WorkID
		state  area.OrderState
		reason string
	}{{wrong, area.OrderFailed, area.EndClipHash}, {large, area.OrderFailed, area.EndClipMissing}, {missing, area.OrderFailed, area.EndClipMissing}, {good, area.OrderPlayed, ""}} {
		o := w.ended(want.id)
		reason := ""
		if o.Reason != nil {
			reason = *o.Reason
		}
		if o.State != want.state || reason != want.reason {
			t.Errorf("order %s ended %s, want %s %s", want.id, story(o), want.state, want.reason)
		}
	}
	h.call("POST", "/orders", `{"to":{"area":"north"},"clip":"sha256:`+strings.Repeat("0", 64)+`"}`).refused(t, http.StatusUnprocessableEntity, area.CodeInvalid)
	oneVoice(t, nil, g)
}

// TestSpeechOfTheHub: a text is made into sound by the hub, once, and that is what
// the device plays; the order has its exact length.
func TestSpeechOfTheHub(t *testing.T) {
	t.Parallel()
	tool(t, "espeak-ng", "espeak-ng")
	h := startProcess(t, t.TempDir())
	w := h.watch()
	g := h.gateWith("gate-1", "north", "")
	offers := h.subscribe("-v", "-t", "tacet/area/north/work")
	var first string
	for range 2 {
		id := h.announce(`{"to":{"area":"north"},"volume":100,"message":"Boarding at gate 7","languages":["en","de"]}`)
		var body area.Body
		offers.message(0, "tacet/area/north/work", func(p string) bool {
			o, err := area.ParseOffer([]byte(p))
			body = o.Body
			return err == nil && o.Work == id
		})
		if body.Clip == nil || body.URL == nil || *body.URL != "/clips/"+strings.TrimPrefix(*body.Clip, "sha256:") || body.Message == nil {
			t.Fatalf("the offer has %+v", body)
		}
		o := w.ended(id)
		a := h.call("GET", h.ready.HTTP+*body.URL, nil)
		a.want(t, http.StatusOK, nil)
		sound, err := media.DecodeWAV(a.body)
		if err != nil {
			t.Fatal(err)
		}
		if o.State != area.OrderPlayed || o.DurationMs != sound.Duration().Milliseconds() {
			t.Errorf("%s: %d ms, the speech has %v", story(o), o.DurationMs, sound.Duration())
		}
		g.heard(id, sound)
		if first != "" && first != *body.Clip {
			t.Errorf("spoken anew: %s, then %s", first, *body.Clip)
		}
		first = *body.Clip
	}
	same(t, "texts spoken", h.metric("tacet_speech_made"), 1)
	var dry struct {
		DurationMs int64 `json:"duration_ms"`
	}
	h.call("POST", "/orders?dry_run=true", `{"to":{"area":"north"},"message":"Boarding at gate 7","languages":["en","de"]}`).want(t, http.StatusOK, &dry)
	if dry.DurationMs < 2000 {
		t.Errorf("a dry run says %d ms", dry.DurationMs)
	}
}

// TestTheDeviceSpeaksWhereItIsCutOff: no web listener, and yet the text is heard.
func TestTheDeviceSpeaksWhereItIsCutOff(t *testing.T) {
	t.Parallel()
	h := startProcess(t, t.TempDir())
	w := h.watch()
	nowhere := newDoor(t)
	g := h.gateWith("gate-1", "north", "web: http://"+nowhere.addr())
	id := h.announce(`{"to":{"area":"north"},"message":"Boarding at gate 7"}`)
	if o := w.ended(id); o.State != area.OrderPlayed || len(g.plays()) != 1 {
		t.Errorf("%s; plays %v", story(o), g.plays())
	}
}

// TestUploadOverTheHub: the vendor's client sends a clip as a stream, in both
// protocols.
func TestUploadOverTheHub(t *testing.T) {
	t.Parallel()
	h := start(t)
	for i, protocol := range []string{"json", "messagepack"} {
		b := media.EncodeWAV(sweep(time.Duration(3+i) * time.Second)) // 130 KB and more
		file := filepath.Join(t.TempDir(), "sound.wav")
		if err := os.WriteFile(file, b, 0o600); err != nil {
			t.Fatal(err)
		}
		p := script(t, "upload.mjs", h.hubURL(), file, protocol)
		l, _ := heard(p, 0, "the answer", func(line) bool { return true })
		if l.Error != nil {
			t.Fatalf("%s: %s", protocol, *l.Error)
		}
		var name string
		if err := json.Unmarshal(l.Result, &name); err != nil {
			t.Fatal(err)
		}
		a := h.call("GET", h.ready.HTTP+"/clips/"+strings.TrimPrefix(name, "sha256:"), nil)
		a.want(t, http.StatusOK, nil)
		if !bytes.Equal(a.body, b) {
			t.Errorf("%s: %d bytes came back, %d were sent", protocol, len(a.body), len(b))
		}
		same(t, "exit code", p.wait(), 0)
	}
}
