package leader

import (
	"bytes"
	"log"
	"net/netip"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/tacet-hub/tacet/broker/area"
)

// inNamespace runs a test again in a network of its own, whose loopback takes
// multicast: nothing goes out of the machine. It tells whether this is that run.
func inNamespace(t *testing.T) bool {
	t.Helper()
	const mark = "TACET_TEST_NAMESPACE"
	if os.Getenv(mark) != "" {
		return true
	}
	shell := `ip link set lo up multicast on && ip route add 224.0.0.0/4 dev lo && exec "$0" -test.run "^$1\$" -test.v`
	c := exec.CommandContext(t.Context(), "unshare", "--user", "--map-root-user", "--net", "sh", "-c", shell, os.Args[0], t.Name())
	if os.Geteuid() == 0 {
		c = exec.CommandContext(t.Context(), "unshare", "--net", "sh", "-c", shell, os.Args[0], t.Name())
	}
	c.Env = append(os.Environ(), mark+"=1")
	if out, err := c.CombinedOutput(); err != nil {
		t.Errorf("in a namespace: %v\n%s", err, out)
	}
	return false
}

// Real multicast: a member is found by who has the key, and by nobody else; an
// answer that the key has not signed does not count.
func TestMulticast(t *testing.T) {
	if !inNamespace(t) {
		return
	}
	var said bytes.Buffer
	logger := log.New(&said, "", 0)
	p, at := roster(1), netip.MustParseAddrPort("127.0.0.1:7946")
	s, err := announce("gate-1", p, at, logger)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Shutdown() }()
	// A stranger has seen the name that the members have, and says he is one.
	wrong := bytes.Repeat([]byte{9}, area.AreaKeySize)
	stranger, err := announceAs(areaMark(p.Key, p.Area)+"-x", signText(wrong, p.Area, "gate-2", "127.0.0.1:7947"), netip.MustParseAddrPort("127.0.0.1:7947"), logger)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = stranger.Shutdown() }()

	member, other := false, false
	for tries := 0; !member || !other; tries++ { // a busy machine may take longer to answer than is listened for
		found, strangers, err := lookup(t.Context(), p, at.Addr(), logger)
		if err != nil || len(found) > 1 || len(found) == 1 && found[0] != (sighting{"gate-1", at.String()}) || strangers > 1 || tries == 30 {
			t.Fatalf("found %v, %d strangers, %v; want gate-1 alone and one stranger\n%s", found, strangers, err, &said)
		}
		member, other = member || len(found) == 1, other || strangers == 1
	}
	elsewhere := p
	elsewhere.Key = bytes.Repeat([]byte{8}, area.AreaKeySize)
	if found, strangers, err := lookup(t.Context(), elsewhere, at.Addr(), logger); err != nil || len(found) != 0 || strangers != 0 {
		t.Errorf("another area found %v, %d strangers, %v", found, strangers, err)
	}
}

// Members that know no address of each other meet by multicast DNS.
func TestMeetByMulticast(t *testing.T) {
	if !inNamespace(t) {
		return
	}
	all := names(3)
	s := newSite(t, area.TopologyLocal, all...)
	for _, n := range all {
		s.seats[n].cfg.Quiet = false
	}
	s.blind = true
	s.start(all...)
	s.until("all follow the first", s.follow("leader", all[0], all...))
	var answers, bad uint64 // who hears one first tells the others
	for _, d := range all {
		n := s.seats[d].Stats()
		answers, bad = answers+n.Answers, bad+n.BadAnswers
	}
	if answers == 0 || bad != 0 {
		t.Errorf("%d answers and %d of strangers", answers, bad)
	}
}

// Whoever has the key may say where a member of the roster is, and nobody else: a
// device that was on it once is not looked for, and a member has few addresses.
func TestSightedMembersAlone(t *testing.T) {
	p := roster(1)
	p.Members = append(p.Members, area.Member{Device: "gate-2", MID: "m2", Index: 17})
	s := &Seat{cfg: Config{Device: "gate-1"}, Parts: Parts{Clock: clock{time.Now().Add(-time.Second)}}, roster: p, found: map[area.DeviceID][]string{}}
	s.sighted([]sighting{{"gate-9", "10.0.0.9:7946"}, {"gate-1", "10.0.0.1:7946"}})
	if len(s.found) != 0 || s.callAt != 0 {
		t.Errorf("found %v, to be called at %v", s.found, s.callAt)
	}
	for _, at := range []string{"10.0.0.2:1", "10.0.0.2:1", "10.0.0.2:2", "10.0.0.2:3", "10.0.0.2:4", "10.0.0.2:5"} {
		s.sighted([]sighting{{"gate-2", at}})
	}
	if got := s.found["gate-2"]; len(s.found) != 1 || len(got) != mostFound || got[0] != "10.0.0.2:5" || s.callAt == 0 {
		t.Errorf("found %v, to be called at %v", s.found, s.callAt)
	}
}

func TestSignedText(t *testing.T) {
	key := bytes.Repeat([]byte{5}, area.AreaKeySize)
	good := signText(key, "north", "gate-1", "10.0.0.5:7946")
	if s, ok := readText(good, key, "north"); !ok || s != (sighting{"gate-1", "10.0.0.5:7946"}) {
		t.Errorf("got %v, %v", s, ok)
	}
	for name, fields := range map[string][]string{
		"another address": {good[0], "a=10.0.0.6:7946", good[2]},
		"another device":  {"d=gate-2", good[1], good[2]},
		"no proof":        good[:2],
		"no address":      {good[0], "a=x", good[2]},
		"nothing":         nil,
	} {
		if s, ok := readText(fields, key, "north"); ok {
			t.Errorf("%s: believed %v", name, s)
		}
	}
	if _, ok := readText(good, key, "south"); ok {
		t.Error("it counts in another area")
	}
}
