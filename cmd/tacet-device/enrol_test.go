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

	"github.com/tacet-hub/tacet/broker"
	"github.com/tacet-hub/tacet/broker/area"
)

// A device with nothing but a boot partition becomes who the hub says, is heard,
// and reports that it was enrolled.
func TestRunEnrols(t *testing.T) {
	b, err := broker.New(broker.Config{Addr: "127.0.0.1:0"}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Listen(); err != nil {
		t.Fatal(err)
	}
	heard := make(chan area.Message, 100)
	for _, filter := range []string{"tacet/area/north/claim/gate-12", "tacet/device/gate-12/event/+"} {
		if _, err := b.Subscribe(filter, func(m area.Message) { heard <- m }); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	var work sync.WaitGroup
	defer work.Wait()
	defer cancel()
	work.Go(func() { _ = b.Run(ctx) })
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, `{"device":"gate-12","secret":"s","area":"north","tenant":"default","mqtt":"mqtt://%s","mqtts":null}`, b.Addr())
	}))
	defer web.Close()
	boot, data := t.TempDir(), t.TempDir()
	file := filepath.Join(boot, "tacet.yaml")
	if err := os.WriteFile(file, []byte("enrol_hub: "+web.URL+"\nenrol_code: AAAA-BBBB\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	device, end := context.WithCancel(ctx)
	code := make(chan int, 1)
	var errs bytes.Buffer
	work.Go(func() {
		code <- execute(device, []string{"run", "--sim", "--boot", boot, "--data", data}, nil, io.Discard, &errs)
	})
	for enrolled := false; !enrolled; {
		m := <-heard
		if enrolled = strings.HasSuffix(m.Topic, "/event/enrolled"); enrolled {
			continue
		}
		if c, err := area.ParseClaim(m.Payload); err == nil && c.Op == area.OpHello {
			a := area.Answer{Op: area.OpHello, Boot: c.Boot, MID: c.MID, Nonce: c.Nonce, Term: 64}
			if err := b.Publish(ctx, area.Message{Topic: area.GrantTopic("gate-12"), Payload: a.Encode(), QoS: 1, From: area.FromArbiter}); err != nil {
				t.Fatal(err)
			}
		}
	}
	end()
	if c := <-code; c != exitOK {
		t.Errorf("exit code %d, log %s", c, errs.String())
	}
	if text, err := os.ReadFile(file); err != nil || strings.Contains(string(text), "AAAA") || strings.Contains(errs.String(), "AAAA") {
		t.Errorf("the code is in %s, %v, or in the log", text, err)
	}
}
