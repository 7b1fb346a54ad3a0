package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tacet-hub/tacet/broker"
	"github.com/tacet-hub/tacet/broker/area"
	"github.com/tacet-hub/tacet/cmd/internal/release"
)

func TestCommandLine(t *testing.T) {
	data := t.TempDir()
	faulty := filepath.Join(data, "faulty.yaml")
	if err := os.WriteFile(faulty, []byte("device: gate-1\narea: north\ngpio: {status_led: GPIO27, amp_enabel: GPIO22}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	pin := filepath.Join(data, "pin.yaml")
	if err := os.WriteFile(pin, []byte("device: gate-1\narea: north\ngpio: {amp_lead: 30,\n  busy_lamp: GPIO99}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	refusing := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/broken") {
			w.WriteHeader(http.StatusInternalServerError)
			fmt.Fprint(w, `{"code":"internal","detail":"a fault of the hub"}`)
			return
		}
		w.WriteHeader(http.StatusNotFound)
		fmt.Fprint(w, `{"code":"not_found","detail":"the code is unknown, used or expired"}`)
	}))
	defer refusing.Close()
	cases := []struct {
		name, args string
		code       int
		want       string // in what it prints
	}{
		{"version", "version", exitOK, "tacet-device "},
		{"version by a flag", "--version", exitOK, "tacet-device " + release.Build(release.Version())},
		{"provision without a code", "provision --hub http://127.0.0.1:1", exitUsage, "--code"},
		{"provision, no address", "provision --hub hub.local --code A --data " + data, exitUsage, "is not an address"},
		{"provision, refused", "provision --hub " + refusing.URL + " --code A --data " + data, exitRefused, "not_found"},
		{"provision, a hub that fails", "provision --hub " + refusing.URL + "/broken --code A --data " + data, exitFailed, "internal"},
		{"provision, nobody there", "provision --hub http://127.0.0.1:1 --code A --data " + data, exitUnreachable, "does not answer"},
		{"help", "", exitOK, "run"},
		{"unknown command", "frobnicate", exitUsage, "frobnicate"},
		{"unknown flag", "run --frob", exitUsage, "--frob"},
		{"argument", "run gate-1", exitUsage, "gate-1"},
		{"not configured", "run --sim", exitUsage, "area"},
		{"fault of a flag", "run --sim --device gate-1 --area north --hub http://x", exitUsage, "--hub"},
		{"real hardware without a place", "run --device gate-1 --area north --data /dev/null/x", exitFailed, "/dev/null/x"},
		{"log format", "run --log-format xml", exitUsage, "xml"},
		{"log level", "run --log-level loud", exitUsage, "loud"},
		{"no file", "run --sim --config " + data + "/none.yaml", exitUsage, "none.yaml"},
		{"fault of the file, and a light that is not there", "run --config " + faulty, exitUsage, "amp_enabel"},
		{"check of a fault and a pin", "check --config " + pin, exitUsage, "gpio.amp_lead: duration \"30\" is not a number with a unit, such as \"60s\"\n" + pin + ":4: gpio.busy_lamp"},
		{"quiet without hardware", "quiet --sim --device gate-1 --area north", exitOK, ""},
		{"no data", "run --sim --device gate-1 --area north --data /dev/null/x", exitFailed, "/dev/null/x"},
		{"check fails", "check --device gate-1 --area north --hub ws://127.0.0.1:1 --data " + data, exitFailed, "FAIL"},
		{"check by a flag", "--check --device gate-1 --area north --hub ws://127.0.0.1:1 --data " + data, exitFailed, "FAIL"},
		{"recording of no simulated device", "run --wav x.wav --device gate-1 --area north", exitUsage, "--wav: wav: it records a simulated loudspeaker"},
		{"two outputs", "run --sim --sound --wav x.wav --device gate-1 --area north", exitUsage, "--sound"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			ctx := t.Context()
			if strings.HasPrefix(strings.TrimPrefix(c.args, "--"), "check") || strings.Contains(c.args, faulty) { // a hub that is not there takes its time, a light that is there too
				var cancel context.CancelFunc
				ctx, cancel = context.WithCancel(ctx)
				cancel()
			}
			var out, errs bytes.Buffer
			if code := execute(ctx, strings.Fields(c.args), nil, &out, &errs); code != c.code {
				t.Errorf("exit code %d, want %d", code, c.code)
			}
			if all := out.String() + errs.String(); !strings.Contains(all, c.want) {
				t.Errorf("it printed %q, want something with %q", all, c.want)
			}
		})
	}
}

// A device says that it is ready when the hub has answered its hello, and ends
// in order when it is told to.
func TestRun(t *testing.T) {
	b, err := broker.New(broker.Config{Addr: "127.0.0.1:0"}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Listen(); err != nil {
		t.Fatal(err)
	}
	hellos := make(chan area.Message, 1000)
	if _, err := b.Subscribe("tacet/area/north/claim/gate-1", func(m area.Message) { hellos <- m }); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var work sync.WaitGroup
	defer work.Wait()
	defer cancel()
	work.Go(func() { _ = b.Run(ctx) })
	first := make(chan area.Claim, 1)
	work.Go(func() { // on a busy machine it says more than one, and only the answer to the newest counts
		for {
			select {
			case m := <-hellos:
				c, err := area.ParseClaim(m.Payload)
				if err != nil {
					t.Error(err)
				}
				select {
				case first <- c:
				default:
				}
				a := area.Answer{Op: area.OpHello, Boot: c.Boot, MID: c.MID, Nonce: c.Nonce, Term: 64}
				_ = b.Publish(ctx, area.Message{Topic: area.GrantTopic("gate-1"), Payload: a.Encode(), QoS: 1, From: area.FromArbiter}) // an error means the end
			case <-ctx.Done():
				return
			}
		}
	})

	url := "mqtt://" + b.Addr().String()
	dir := t.TempDir()
	args := []string{"run", "--sim", "--device", "gate-1", "--location", "1", "--data", dir, "--wav", filepath.Join(dir, "x.wav")}
	environ := []string{"TACET_DEVICE_AREA=north", "TACET_DEVICE_LOCATION=2", "TACET_DEVICE_HUB=" + url, "TACET_DEVICE_FROB=1"}
	out, in := io.Pipe()
	device, end := context.WithCancel(ctx)
	code := make(chan int, 1)
	var errs bytes.Buffer
	work.Go(func() {
		code <- execute(device, args, environ, in, &errs)
		in.Close()
	})

	if hello := <-first; hello.Op != area.OpHello || hello.Boot != 1 {
		t.Fatalf("first it says %+v", hello)
	}
	line := make([]byte, 200)
	n, err := out.Read(line)
	if want := "ready device=gate-1 hub=" + url + "\n"; string(line[:n]) != want || err != nil {
		t.Errorf("it printed %q, %v, want %q", line[:n], err, want)
	}
	status := func(online bool) (s area.Status) { // which the broker gets behind what it answers
		tick := time.NewTicker(5 * time.Millisecond)
		defer tick.Stop()
		for end := time.Now().Add(time.Minute); time.Now().Before(end); <-tick.C {
			for _, kept := range b.Retained(area.StatusTopic("gate-1"), 1) {
				if s, err = area.ParseStatus(kept.Payload); err != nil {
					t.Fatal(err)
				}
				if s.Online == online {
					return s
				}
			}
		}
		t.Fatalf("the status is %+v, want online %t", s, online)
		return s
	}
	if s := status(true); s.Location != "1" { // the flag beats the environment
		t.Errorf("status = %+v", s)
	}
	end()
	if c := <-code; c != exitOK {
		t.Errorf("exit code %d, log %s", c, errs.String())
	}
	status(false)
	if !strings.Contains(errs.String(), "TACET_DEVICE_FROB") {
		t.Error("nothing was said of a variable that is no key")
	}
}
