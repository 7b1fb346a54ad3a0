package e2e

import (
	"context"
	"fmt"
	mrand "math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/tacet-hub/tacet/broker/area"
	"github.com/tacet-hub/tacet/drivers/media"
)

// must runs the operator's tool, which must succeed.
func (h *hub) must(args ...string) string {
	h.t.Helper()
	out, errs, code := h.tacet(args...)
	if code != 0 {
		h.t.Fatalf("tacet %s exits %d: %s", strings.Join(args, " "), code, errs)
	}
	return out
}

// load publishes until stop, retained and to be kept for who is away.
func (h *hub) load(stop context.Context, args ...string) (wait func()) {
	var tasks sync.WaitGroup
	tasks.Go(func() {
		for n := 0; stop.Err() == nil; n++ {
			if out, err := h.pub(append([]string{"-t", fmt.Sprint("load/", n%50), "-m", strings.Repeat("x", 2000), "-r"}, args...)...); err != nil && stop.Err() == nil {
				h.t.Errorf("while a backup is made: %s", out)
				return
			}
		}
	})
	return tasks.Wait
}

// TestBackupAndRestore: a backup of a hub that works, restored to another directory
// after the hub was killed: everything is there, and whoever could come in can.
func TestBackupAndRestore(t *testing.T) {
	t.Parallel()
	m := startManned(t)
	adm := m.login("adm")
	as := bearer(adm)
	m.call("POST", "/areas", `{"id":"late","name":"Late Wing","locations":[{"id":"l1","name":"Desk"}]}`, as...).want(t, http.StatusCreated, nil)
	var token struct {
		Secret string `json:"token"`
	}
	m.call("POST", "/tokens", `{"name":"panel","roles":["viewer"]}`, as...).want(t, http.StatusCreated, &token)
	var credential struct{ Secret string }
	code := m.operate(adm, "device", "enrol", "gate-12", "--area", "late")
	m.call("POST", "/enrolments/"+code, nil).want(t, http.StatusOK, &credential)
	waiting := m.operate(adm, "device", "enrol", "gate-13", "--area", "late")
	sound := media.EncodeWAV(sweep(time.Second))
	c := m.upload(sound, as...)
	m.call("POST", "/schedules", `{"id":"boarding","every":"3600s","work":{"to":{"area":"late"},"clip":"sha256:`+c.SHA256+`"}}`, as...).want(t, http.StatusCreated, nil)
	m.call("POST", "/orders", `{"id":"o-1","to":{"area":"late"},"message":"wait","expires":"3600s"}`, as...).want(t, http.StatusAccepted, nil)
	ann := []string{"-u", "adm", "-P", m.words["adm"]}
	m.publish("kept", "old news", append(ann, "-r")...)
	away := append(ann, "-c", "-i", "adm:away", "-v", "-t", "missed")
	sub := m.subscribe(away...)
	sub.signal(syscall.SIGTERM)
	sub.wait()
	m.publish("missed", "while away", ann...)

	_, errs, exit := m.tacet("backup", filepath.Join(t.TempDir(), "no"), "--url", m.ready.HTTP)
	if exit != 4 || !strings.Contains(errs, "unauthorized") {
		t.Errorf("a stranger's backup exits %d: %s", exit, errs)
	}
	m.call("GET", "/backup", nil, bearer(m.login("ann"))...).want(t, http.StatusForbidden, nil)
	busy, stop := context.WithCancel(t.Context())
	wait := m.load(busy, ann...)
	file := filepath.Join(t.TempDir(), "hub.backup")
	for range 3 {
		m.operate(adm, "backup", file)
		if info, err := os.Stat(file); err != nil || info.Mode() != 0o600 {
			t.Fatal(info.Mode(), err)
		}
		if err := os.Rename(file, file+".last"); err != nil {
			t.Fatal(err)
		}
	}
	stop()
	wait()
	m.logged("backup given out", "who=adm")
	m.signal(syscall.SIGKILL)
	m.program.wait()

	data := filepath.Join(t.TempDir(), "other")
	if out := m.must("restore", file+".last", "--data", data, "--dry-run"); !strings.Contains(out, "records   areas ") {
		t.Errorf("a look says %s", out)
	}
	if _, err := os.Stat(data); !os.IsNotExist(err) {
		t.Fatalf("a look has made %s (%v)", data, err)
	}
	m.must("restore", file+".last", "--data", data)
	site, err := os.ReadFile(m.file)
	if err != nil {
		t.Fatal(err)
	}
	old := m.data
	m.serve = startSite(t, data, string(site))
	as = bearer(m.login("adm")) // a session ends with its hub

	m.call("GET", "/areas/late", nil, bearer(token.Secret)...).want(t, http.StatusOK, nil)
	var s area.Schedule
	m.call("GET", "/schedules/boarding", nil, as...).want(t, http.StatusOK, &s)
	m.waits("o-1", as...)
	if got := m.call("GET", m.ready.HTTP+"/clips/"+c.SHA256, nil, as...); string(got.body) != string(sound) {
		t.Errorf("the clip: %d, %d bytes", got.status, len(got.body))
	}
	reader := m.subscribe(append(ann, "-v", "-t", "kept")...)
	reader.message(0, "kept", exactly("old news"))
	m.subscribe(away...).message(0, "missed", exactly("while away"))
	m.publish("tacet/device/gate-12/event/door", "open", "-u", "gate-12", "-P", credential.Secret, "-i", "gate-12")
	m.call("POST", "/enrolments/"+waiting, nil).want(t, http.StatusOK, &credential)
	m.publish("tacet/device/gate-13/event/door", "open", "-u", "gate-13", "-P", credential.Secret, "-i", "gate-13")
	m.call("GET", "/areas/late/proof", nil, as...).want(t, http.StatusOK, nil)

	for what, c := range map[string]struct {
		exit int
		says string
		args []string
	}{
		"a running hub's":       {4, "running", []string{"restore", file + ".last", "--data", data, "--force"}},
		"one that is not empty": {4, "not_empty", []string{"restore", file + ".last", "--data", old}},
		"no backup":             {1, "foreign", []string{"restore", m.file, "--data", data + ".no"}},
		"a file that is there":  {2, "is there already", []string{"backup", file + ".last", "--data", old}},
		"a hub that never was":  {1, "not_found", []string{"backup", file, "--data", data + ".no"}},
	} {
		if _, errs, exit := m.tacet(c.args...); exit != c.exit || !strings.Contains(errs, c.says) {
			t.Errorf("%s: exit %d, %s", what, exit, errs)
		}
	}
	// The killed hub's directory, where it lies; and to standard output.
	if out := m.must("backup", file, "--data", old); !strings.Contains(out, "of a hub that did not run") {
		t.Error(out)
	}
	m.must("restore", file, "--data", data+".second", "--dry-run")
	m.secrets = append(m.secrets, token.Secret, credential.Secret)
	m.silent()
}

// TestOneVoiceOverARestore: devices play on while the hub is killed and yesterday's
// backup takes the place of its directory, or of a lost one. One lock with tokens that
// grow could have shown them what they see.
func TestOneVoiceOverARestore(t *testing.T) {
	t.Parallel()
	const plays = 20
	site := "areas: [{id: north, lease: 1s}]\n"
	data, way := filepath.Join(t.TempDir(), "data"), newDoor(t)
	s := startSite(t, data, site)
	way.lead(t, s.ready.MQTT)
	h := &history{begin: time.Now(), more: make(chan struct{}, 1)}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var tasks sync.WaitGroup
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	for i := range 6 {
		p := &player{h: h, n: i, id: area.DeviceID(fmt.Sprint("d-", i)), mid: fmt.Sprint("mid-", i), hub: "mqtt://" + way.addr(), rng: mrand.New(mrand.NewPCG(seed, uint64(i)))}
		tasks.Go(func() {
			for ctx.Err() == nil {
				if err := p.life(ctx); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	again := func(kill func()) {
		t.Helper()
		h.until(t, h.plays()+plays)
		s.signal(syscall.SIGKILL)
		s.wait()
		way.lead(t, "")
		kill()
		s = startSite(t, data, site)
		way.lead(t, s.ready.MQTT)
	}
	running, stopped := filepath.Join(t.TempDir(), "running"), filepath.Join(t.TempDir(), "stopped")
	again(func() { s.must("backup", stopped, "--data", data) })
	s.must("backup", running, "--data", data)
	again(func() {})
	again(func() { s.must("restore", running, "--data", data, "--force") })
	again(func() { s.must("restore", stopped, "--data", data, "--force") })
	again(func() {
		if err := os.RemoveAll(data); err != nil {
			t.Fatal(err)
		}
		s.must("restore", stopped, "--data", data)
	})
	h.until(t, h.plays()+plays)
	stop()
	tasks.Wait()
	t.Logf("%d plays, %d deaths in a sound, %d sounds cut", h.stats.plays, h.stats.crashes, h.stats.cuts)
	if r := porcupine.CheckOperationsTimeout(mutexWithTokens, h.ops, patience); r != porcupine.Ok {
		t.Errorf("no lock shows such a history (%s): %s", r, worst(h.ops))
	}
	if old, err := filepath.Glob(data + ".before-*"); err != nil || len(old) != 2 {
		t.Errorf("set aside: %v %v", old, err)
	}
}
