package e2e

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/eclipse/paho.golang/packets"
	"github.com/tacet-hub/tacet/broker/area"
	"github.com/tacet-hub/tacet/cmd/internal/conf"
)

// ejabberd is Debian's, as a broker of MQTT 5 alone: one that has nothing in common
// with ours or with Mosquitto. Who comes in has a name, and any password.
func ejabberd(t *testing.T) *outside {
	t.Helper()
	libs, err := filepath.Glob("/usr/lib/*/ejabberd-*/ebin/mod_mqtt.beam")
	if err != nil || len(libs) == 0 {
		t.Fatal("ejabberd is missing: install the Debian packages of .ci/tools (make test does)")
	}
	o, dir := newOutside(t), t.TempDir()
	file := filepath.Join(dir, "ejabberd.yml")
	if err := os.WriteFile(file, fmt.Appendf(nil, `hosts: [localhost]
loglevel: warning
listen: [{port: %d, ip: "127.0.0.1", module: mod_mqtt}]
auth_method: [anonymous]
anonymous_protocol: login_anon
allow_multiple_connections: true
modules: {mod_mqtt: {max_queue: 20000, session_expiry: 24 hours}}
`, o.port), 0o600); err != nil {
		t.Fatal(err)
	}
	o.env = []string{
		"ERL_LIBS=" + filepath.Dir(filepath.Dir(filepath.Dir(libs[0]))), "HOME=" + dir, "EJABBERD_CONFIG_PATH=" + file,
		"EJABBERD_LOG_PATH=" + filepath.Join(dir, "ejabberd.log"), "ERL_CRASH_DUMP_SECONDS=0",
	}
	o.command = []string{"erl", "-noinput", "-mnesia", "dir", fmt.Sprintf("%q", filepath.Join(dir, "mnesia")), "-s", "ejabberd"}
	t.Cleanup(o.kill) // also where it does not listen in time
	o.start()
	return o
}

// TestOtherExternalBroker: with ejabberd in the place of the embedded broker, which
// wants names and passwords, devices take turns, sensors are read, groups are
// mirrored and works are taken, also after it was killed.
func TestOtherExternalBroker(t *testing.T) {
	t.Parallel()
	o := ejabberd(t)
	secret := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, []byte("x\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	h := start(t, func(c *conf.Config) {
		c.MQTT.External.URL, c.MQTT.External.Username, c.MQTT.External.PasswordFile = o.url(), "hub@localhost", secret
	})
	h.health("ready", "broker", true)
	login := []string{"-u", "somebody@localhost", "-P", "x"}
	w, page, sub := h.watch(), h.npm(), h.subscribe(append(login, "-v", "-t", "tacet/#")...)
	lines := func(at string) string {
		return fmt.Sprintf("location: %q\nusername: gate-%s@localhost\npassword_file: %s", at, at, secret)
	}
	gates := []*gate{h.gateWith("gate-1", "north", lines("1")), h.gateWith("gate-2", "north", lines("2"))}
	play := func() {
		t.Helper()
		var ids []area.WorkID
		for i := range 2 {
			ids = append(ids, h.announce(fmt.Sprintf(`{"to":{"location":"%d"},"message":"Go"}`, 1+i)))
		}
		for _, id := range ids {
			if o := w.ended(id); o.State != area.OrderPlayed {
				t.Errorf("order %s ended %s: %s", id, o.State, story(o))
			}
		}
	}
	play()
	h.publish("home/north/hall/temperature", "21.5", append(login, "-r")...)
	w.reading(0, func(r area.Reading) bool { return r.Device == "hall" && r.Value == 21.5 })
	page.invoke("JoinGroup", "g")
	h.publish("tacet/group/g/Down", "1", login...)
	page.invoke("SendToGroup", "g", "Up", 2)
	page.event(0, "Down", hears(t, 1))
	page.event(0, "Up", hears(t, 2))
	sub.message(0, "tacet/group/g/Up", exactly("[2]"))
	h.publish("tacet/area/north/submit", `{"v":1,"work":"w-1","location":"1","body":{"message":"Go"}}`, login...)
	w.ended("w-1")

	o.kill()
	h.health("degraded", "broker", false)
	o.start()
	h.health("ready", "broker", true)
	h.awaitPresent("gate-1", "gate-2")
	play()
	oneVoice(t, nil, gates...)
	same(t, "overlaps that the hub counted", h.metric("tacet_arbiter_conflicts")+h.metric("tacet_arbiter_intruders"), 0)
}

// TestOldExternalBroker: a broker that speaks MQTT 3.1.1 alone, as old ones answer,
// is named in the log and in an alert; the hub is degraded and works for the rest.
func TestOldExternalBroker(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() { // ends with the listener
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			_, _ = packets.ReadPacket(c)               // whole: what is left unread would reset the answer
			_, _ = c.Write([]byte("\x20\x02\x00\x01")) // CONNACK, unacceptable protocol version: as Mosquitto 1.4 and aedes 1.2 answer
			_ = c.Close()
		}
	}()
	site := fmt.Sprintf("%s\nmqtt: {external: {url: \"mqtt://%s\"}}\n", siteFile, l.Addr())
	s := startSite(t, t.TempDir(), site)
	s.errs.await(t, 0, "a line of the log", func(line string) bool {
		return strings.Contains(line, "level=ERROR") && strings.Contains(line, "broker speaks no MQTT 5, which is needed")
	})
	s.health("degraded", "broker", false)
	if a := s.call("GET", s.ready.HTTP+"/healthz", nil); a.status != http.StatusOK {
		t.Errorf("/healthz says %d", a.status)
	}
	same(t, "the metric", s.metric("tacet_external_old"), 1.0)
}
