package leader

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tacet-hub/tacet/broker/area"
)

func roster(rev uint64) area.Peers {
	return area.Peers{V: 1, Rev: rev, Area: "north", Hub: "hub-1", Topology: area.TopologyLocal, Mode: area.ModeAvailable, Policy: area.PolicyStop, LeaseMs: 6000,
		Key: bytes.Repeat([]byte{5}, area.AreaKeySize), Locations: []area.PeerPlace{}, Members: []area.Member{{Device: "gate-1", MID: "m", Index: 16}}, Credentials: []area.Credential{}}
}

func TestKept(t *testing.T) {
	for name, keyFile := range map[string]string{"key with the roster": "", "key apart": "area.key"} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			if keyFile != "" {
				keyFile = filepath.Join(dir, keyFile)
			}
			if _, _, known, err := Kept(filepath.Join(dir, "no"), keyFile); known || err != nil {
				t.Fatalf("nothing is kept: %v, %v", known, err)
			}
			k := keeper{dir: dir, keyFile: keyFile}
			if err := k.setRoster(roster(3)); err != nil {
				t.Fatal(err)
			}
			for _, term := range []uint64{17, 81, 80} {
				if err := k.setTerm(term); err != nil {
					t.Fatal(err)
				}
			}
			p, term, known, err := Kept(dir, keyFile)
			if err != nil || !known || term != 81 || p.Rev != 3 || !bytes.Equal(p.Key, roster(3).Key) {
				t.Errorf("kept %+v, term %d, %v, %v", p, term, known, err)
			}
			text, err := os.ReadFile(filepath.Join(dir, rosterFile))
			if err != nil || keyFile != "" && strings.Contains(string(text), "BQUFBQUF") {
				t.Errorf("the key stands in the roster: %v", err)
			}
			for _, f := range []string{filepath.Join(dir, rosterFile), keyFile} {
				if info, err := os.Stat(f); f != "" && (err != nil || info.Mode().Perm() != 0o600) {
					t.Errorf("%s: %v, %v", f, info, err)
				}
			}
		})
	}
}

func TestDamaged(t *testing.T) {
	dir := t.TempDir()
	key := filepath.Join(dir, "key")
	k := keeper{dir: dir, keyFile: key}
	if err := k.setRoster(roster(3)); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, rosterFile)
	whole, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for name, damage := range map[string]func() error{
		"cut": func() error { return os.WriteFile(file, whole[:len(whole)/2], 0o600) },
		"a bit": func() error {
			return os.WriteFile(file, bytes.Replace(whole, []byte("6000"), []byte("7000"), 1), 0o600)
		},
		"another key": func() error { return os.WriteFile(key, []byte("AAAA"), 0o600) },
		"no key":      func() error { return os.Remove(key) },
		"the term":    func() error { return os.WriteFile(filepath.Join(dir, termFile), []byte("x"), 0o600) },
	} {
		t.Run(name, func(t *testing.T) {
			if err := k.setRoster(roster(3)); err != nil {
				t.Fatal(err)
			}
			if err := damage(); err != nil {
				t.Fatal(err)
			}
			_, _, known, err := Kept(dir, key)
			if err == nil || known != (name == "the term") {
				t.Errorf("known %v, %v", known, err)
			}
		})
	}
}

func TestReach(t *testing.T) {
	at := func(s float64) area.Instant { return area.Instant(s * float64(time.Second)) }
	type line struct {
		now  float64
		what string // up, down: a connection; ok, no: a dial that began a second before
		want bool
	}
	for name, lines := range map[string][]line{
		"begins with hope":                 {{0, "no", true}, {4.9, "no", true}, {5.1, "no", false}},
		"a dial brings it back":            {{0, "no", true}, {6, "no", false}, {7, "ok", true}, {8, "no", true}, {13.5, "no", false}},
		"a connection brings it back":      {{0, "no", true}, {6, "no", false}, {7, "up", true}},
		"while connected dials are naught": {{0, "up", true}, {1, "no", true}, {9, "no", true}},
		"five seconds from the loss":       {{0, "up", true}, {10, "down", true}, {12, "no", true}, {14.9, "no", true}, {16, "no", false}},
		"a dial between begins it anew":    {{0, "up", true}, {10, "down", true}, {12, "no", true}, {13, "ok", true}, {15, "no", true}, {18, "no", true}, {19.1, "no", false}},
		"MQTT alone is no loss":            {{0, "up", true}, {10, "down", true}, {12, "ok", true}, {60, "ok", true}},
	} {
		t.Run(name, func(t *testing.T) {
			r := newReach(0)
			for _, l := range lines {
				switch l.what {
				case "up", "down":
					r.connected(l.what == "up", at(l.now))
				default:
					r.dialed(l.what == "ok", at(max(0, l.now-1)), at(l.now))
				}
				if r.up != l.want {
					t.Fatalf("%v %s: up is %v, want %v", l.now, l.what, r.up, l.want)
				}
			}
		})
	}
}

func TestParseBind(t *testing.T) {
	for text, want := range map[string]string{"": "invalid IP 0", "10.0.0.5": "10.0.0.5 0", ":7000": "invalid IP 7000", "10.0.0.5:7000": "10.0.0.5 7000", "[fd00::1]:7": "fd00::1 7"} {
		ip, port, err := ParseBind(text)
		if got := fmt.Sprintf("%v %d", ip, port); err != nil || got != want {
			t.Errorf("%q: got %s, %v; want %s", text, got, err, want)
		}
	}
	for _, text := range []string{"hub.local", "10.0.0.5:x", ":", "10.0.0.5:70000"} {
		if _, _, err := ParseBind(text); err == nil {
			t.Errorf("%q: no error", text)
		}
	}
}

func TestMetaFits(t *testing.T) {
	m := meta{Index: 63, Rev: area.MaxCounter, Priority: -1000, Uplink: true, Term: area.MaxCounter, Highest: area.MaxCounter, Served: true, Unfit: true,
		Broker: strings.Repeat("1", mostAddr), Web: strings.Repeat("w", mostAddr), Relay: 65535}
	if n := len(m.encode()); n > mostMeta {
		t.Errorf("%d bytes", n)
	}
	m.Broker = "10.0.0.5:1883"
	if got, err := parseMeta(m.encode()); err != nil || got != m {
		t.Errorf("got %+v, %v", got, err)
	}
	for _, text := range []string{"", "{", `{"t":-1}`, `{"b":"hub:1"}`, strings.Repeat(" ", 600)} {
		if _, err := parseMeta([]byte(text)); err == nil {
			t.Errorf("%q: no error", text)
		}
	}
}

// What cannot be kept is known before it is lost.
func TestWritable(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		dir, key string
		ok       bool
	}{
		"no key file":                  {filepath.Join(dir, "not", "yet"), "", true},
		"a key file":                   {dir, filepath.Join(dir, "key"), true},
		"one that is there":            {dir, file, true},
		"in a directory that is not":   {dir, filepath.Join(dir, "not", "key"), false},
		"in a file":                    {dir, filepath.Join(file, "key"), false},
		"a directory":                  {dir, dir, false},
		"where nothing can be written": {dir, "/proc/self/key", false},
		"below a file":                 {filepath.Join(file, "x"), "", false},
	} {
		if err := Writable(c.dir, c.key); (err == nil) != c.ok {
			t.Errorf("%s: %v", name, err)
		}
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 1 {
		t.Errorf("%v is left behind, %v", left, err)
	}
}
