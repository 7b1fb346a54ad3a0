package signalr_test

import (
	"encoding/json"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/tacet-hub/tacet/bridge/signalr"
	"github.com/tacet-hub/tacet/bridge/signalr/signalrtest"
)

// TestNothingIsLeft: clients come and go in every way, and leave no goroutine,
// no ticket and no member behind.
func TestNothingIsLeft(t *testing.T) {
	const rounds, clients = 5, 20
	h := newSite(t, signalr.Config{AllowStatefulReconnects: true, CloseTimeout: 100 * time.Millisecond}, nil)
	addr := serveTCP(t, h)
	visit := func(i int) {
		opts := signalrtest.Options{Transport: signalrtest.Transport(i % 3), Stateful: i%2 == 0}
		opts.On = map[string]func([]json.RawMessage){"Push": func([]json.RawMessage) {}}
		c, err := signalrtest.Dial(t.Context(), "http://"+addr+"/hub", opts)
		if err != nil {
			t.Error(err)
			return
		}
		invoke(t, c, "JoinGroup", "g")
		invoke(t, c, "SendToGroup", "g", i)
		if i%5 == 0 {
			c.Drop()
		}
		_ = c.Close()
	}
	visit(0)
	before := runtime.NumGoroutine()
	for range rounds {
		var all sync.WaitGroup
		for i := range clients {
			all.Go(func() { visit(i) })
		}
		all.Wait()
		for _, c := range h.Conns() { // those that were dropped and could come back
			c.Close(nil)
		}
	}
	for began := time.Now(); ; time.Sleep(10 * time.Millisecond) {
		s, now := h.Stats(), runtime.NumGoroutine()
		if s.Connections == 0 && s.Negotiated == 0 && s.Detached == 0 && s.Groups == 0 && now <= before+10 { // a few workers wait
			break
		}
		if time.Since(began) > time.Minute {
			buf := make([]byte, 1<<20)
			t.Fatalf("%d goroutines, %d before; %+v\n%s", now, before, s, buf[:runtime.Stack(buf, true)])
		}
	}
}
