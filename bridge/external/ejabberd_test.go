package external

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

// eachPeer runs a test with each broker that is not ours and has nothing in common
// with the other: Mosquitto (C) and ejabberd (Erlang), both of Debian.
func eachPeer(t *testing.T, test func(t *testing.T, b *peer)) {
	t.Helper()
	t.Run("mosquitto", func(t *testing.T) { test(t, newMosquitto(t)) })
	t.Run("ejabberd", func(t *testing.T) { test(t, newEjabberd(t)) })
}

// newEjabberd starts ejabberd as a broker of MQTT 5 alone. Who comes in has a name,
// and any password.
func newEjabberd(t *testing.T) *peer {
	t.Helper()
	libs, err := filepath.Glob("/usr/lib/*/ejabberd-*/ebin/mod_mqtt.beam")
	if err != nil || len(libs) == 0 {
		t.Fatal("ejabberd is missing: apt-get install ejabberd")
	}
	b := newPeer(t)
	conf := fmt.Sprintf(`hosts: [localhost]
loglevel: warning
listen: [{port: %d, ip: "127.0.0.1", module: mod_mqtt}]
auth_method: [anonymous]
anonymous_protocol: login_anon
allow_multiple_connections: true
modules: {mod_mqtt: {max_queue: 20000, session_expiry: 24 hours}}
`, b.port)
	file := filepath.Join(b.dir, "ejabberd.yml")
	if err := os.WriteFile(file, []byte(conf), 0o600); err != nil {
		t.Fatal(err)
	}
	b.user = "tacet@localhost"
	b.env = []string{
		"ERL_LIBS=" + filepath.Dir(filepath.Dir(filepath.Dir(libs[0]))), "HOME=" + b.dir, "EJABBERD_CONFIG_PATH=" + file,
		"EJABBERD_LOG_PATH=" + filepath.Join(b.dir, "ejabberd.log"), "ERL_CRASH_DUMP_SECONDS=0",
	}
	b.command = []string{"erl", "-noinput", "-mnesia", "dir", fmt.Sprintf("%q", filepath.Join(b.dir, "mnesia")), "-s", "ejabberd"}
	b.start()
	t.Cleanup(b.kill)
	return b
}
