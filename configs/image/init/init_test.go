package main

import (
	"net"
	"os"
	"path/filepath"
	"reflect"
	"testing"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"
)

func TestPatience(t *testing.T) {
	var p patience
	var waits []time.Duration
	for range 7 {
		next, wait, ok := p.after(2 * time.Second)
		if !ok {
			t.Fatalf("it gives up after %v", next.bad)
		}
		p = next
		waits = append(waits, wait/time.Second)
	}
	if want := []time.Duration{1, 2, 4, 8, 16, 30, 30}; !reflect.DeepEqual(waits, want) {
		t.Errorf("it waits %d, want %d seconds", waits, want)
	}
	if next, wait, ok := p.after(goodRun); wait != firstPause || !ok || next.bad != goodRun+firstPause {
		t.Errorf("after a good run: %+v, %v, %v", next, wait, ok)
	}
	total := time.Duration(0)
	for p = (patience{}); ; {
		next, wait, ok := p.after(5 * time.Second)
		total += 5*time.Second + wait
		if p = next; !ok {
			break
		}
	}
	if total < badTime || total > badTime+mostPause+goodRun {
		t.Errorf("it gives up after %v, want about %v", total, badTime)
	}
}

func TestOptions(t *testing.T) {
	got := parseOptions("console=tty1 rdinit=/init tacet.ntp=10.0.0.1,time.example tacet.sim quiet")
	if want := (options{sim: true, ntp: []string{"10.0.0.1", "time.example"}}); !reflect.DeepEqual(got, want) {
		t.Errorf("options = %+v, want %+v", got, want)
	}
	if got := parseOptions("console=tty1 tacet.sim=0"); got.sim || got.ntp != nil {
		t.Errorf("options = %+v, want none", got)
	}
}

func TestMessages(t *testing.T) {
	cases := map[string]message{
		"READY=1":                      {ready: true},
		"WATCHDOG=1":                   {alive: true},
		"READY=1\nSTATUS=up\nX=1\n":    {ready: true, status: "up"},
		"READY=0\nWATCHDOG=trigger\n=": {},
	}
	for text, want := range cases {
		if got := parseMessage(text); got != want {
			t.Errorf("%q: %+v, want %+v", text, got, want)
		}
	}
}

func TestNotify(t *testing.T) {
	dir, err := os.MkdirTemp("", "n") // the path of a socket is short
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "s")
	n, err := newNotify(path)
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() { n.run(); close(ended) }()
	c, err := net.Dial("unixgram", path)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := c.Write([]byte("READY=1")); err != nil {
		t.Fatal(err)
	}
	if m := <-n.said; !m.ready {
		t.Errorf("it heard %+v", m)
	}
	n.conn.Close()
	<-ended
}

func TestConfigurations(t *testing.T) {
	cases := map[string]struct {
		text string
		tls  bool
	}{
		"empty":      {"", false},
		"code":       {"enrol_hub: http://hub\nenrol_code: ABCD-EFGH\n", false},
		"enrol_hub":  {"enrol_hub: \"https://hub\"\r\nenrol_code: \"ABCD\"\r\n", true},
		"hub":        {"enrol_code: \"\"\nhub: [\"mqtts://hub\"]\n", true},
		"comments":   {"#enrol_code: ABCD\n# hub: mqtts://hub\nhub: [mqtt://hub]  # or mqtts://hub\n", false},
		"second hub": {"hub:\n - mqtt://a\n - wss://b\n", true},
	}
	for name, c := range cases {
		if got := needsTime(c.text); got != c.tls {
			t.Errorf("%s: it needs the time: %v", name, got)
		}
	}
}

func TestGrown(t *testing.T) {
	const mib = 2048
	cases := map[string]struct{ start, now, total, want uint64 }{
		"as it is":         {132 * mib, 124 * mib, 256 * mib, 124 * mib},
		"larger card":      {132 * mib, 124 * mib, 1024 * mib, 892 * mib},
		"odd end":          {132 * mib, 124 * mib, 1024*mib + 77, 892 * mib},
		"much larger card": {132 * mib, 124 * mib, 64 << 10 * mib, 8192 * mib},
		"smaller card":     {132 * mib, 124 * mib, 200 * mib, 124 * mib},
		"no card":          {132 * mib, 124 * mib, 0, 124 * mib},
	}
	for name, c := range cases {
		if got := grown(c.start, c.now, c.total); got != c.want {
			t.Errorf("%s: %d sectors, want %d", name, got, c.want)
		}
	}
}

func TestPartition(t *testing.T) {
	for disk, want := range map[string]string{"mmcblk0": "mmcblk0p2", "sda": "sda2", "vda": "vda2", "nvme0n1": "nvme0n1p2"} {
		if got := partition(disk, 2); got != want {
			t.Errorf("partition 2 of %s is %s, want %s", disk, got, want)
		}
	}
}

func TestLease(t *testing.T) {
	ack, err := dhcpv4.New(
		dhcpv4.WithYourIP(net.IPv4(10, 0, 2, 15)), dhcpv4.WithNetmask(net.CIDRMask(24, 32)), dhcpv4.WithRouter(net.IPv4(10, 0, 2, 2)),
		dhcpv4.WithDNS(net.IPv4(10, 0, 2, 3)), dhcpv4.WithLeaseTime(600), dhcpv4.WithOption(dhcpv4.OptDomainName("site.example")),
		dhcpv4.WithOption(dhcpv4.OptNTPServers(net.IPv4zero, net.IPv4(10, 0, 2, 4))),
	)
	if err != nil {
		t.Fatal(err)
	}
	l := parseLease(ack)
	if l.addr.String() != "10.0.2.15/24" || !l.router.Equal(net.IPv4(10, 0, 2, 2)) || l.time != 10*time.Minute || !reflect.DeepEqual(l.ntp, []string{"10.0.2.4"}) {
		t.Errorf("lease = %+v", l)
	}
	if got, want := resolvConf(l), "search site.example\nnameserver 10.0.2.3\n"; got != want {
		t.Errorf("resolv.conf = %q, want %q", got, want)
	}
	bare, err := dhcpv4.New(dhcpv4.WithYourIP(net.IPv4(192, 168, 1, 9)))
	if err != nil {
		t.Fatal(err)
	}
	if l := parseLease(bare); l.addr.String() != "192.168.1.9/24" || l.router != nil || l.time != time.Hour {
		t.Errorf("lease of few words = %+v", l)
	}
}
