package api

import (
	"context"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// TestInvoke: what is answered to a question to all, and to the first; and for how long
// the clients have time.
func TestInvoke(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		for _, to := range []string{"/groups/g", "/users/ann@example.com", "/users/a%2Fb", "/connections/c1"} {
			for path, want := range map[string]string{
				"/invoke":                     `{"results":[{"connection_id":"c1","result":"5s"},{"connection_id":"c2","error":"no answer in time"},{"connection_id":null,"error":"node hub-2: away"}]}`,
				"/invoke?mode=all&timeout=1m": `{"results":[{"connection_id":"c1","result":"1m0s"},{"connection_id":"c2","error":"no answer in time"},{"connection_id":null,"error":"node hub-2: away"}]}`,
				"/invoke?mode=one":            `{"connection_id":"c1","result":null}`,
			} {
				if _, got := w.want(200, "POST", to+path, `{"event":"Identify"}`); got != want {
					t.Errorf("%s%s: %s, want %s", to, path, got, want)
				}
			}
			if _, got := w.want(202, "POST", to+"/send", `{"event":"Alarm","args":[1]}`); got != `{"connections":3}` {
				t.Errorf("%s/send: %s", to, got)
			}
		}
		w.want(202, "POST", "/tenants/default/send", `{"event":"Alarm"}`)
	})
}

// TestKeysDoNotWaitForEachOther: of two writes with one key the second waits and finds
// the first one's answer; a write with another key does not wait.
func TestKeysDoNotWaitForEachOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := &API{cfg: Config{Now: time.Now}}
		let, runs := make(chan struct{}), 0
		slow := func(*API, *call) (answer, error) {
			runs++
			<-let
			return ok("first")
		}
		write := func(ctx context.Context, key string, verb func(*API, *call) (answer, error)) (string, error) {
			r := httptest.NewRequestWithContext(ctx, "POST", "/x", strings.NewReader("{}"))
			r.Header.Set("Idempotency-Key", key)
			out, err := a.once(&call{Request: r, w: httptest.NewRecorder()}, verb)
			return string(out.raw), err
		}
		got := make(chan string, 2)
		for range 2 {
			go func() {
				s, err := write(t.Context(), "k", slow)
				if err != nil {
					t.Error(err)
				}
				got <- s
			}()
		}
		synctest.Wait()
		if s, err := write(t.Context(), "other", func(*API, *call) (answer, error) { return ok("other") }); err != nil || s != `"other"` {
			t.Errorf("with another key: %s, %v", s, err)
		}
		ctx, stop := context.WithTimeout(t.Context(), time.Second)
		defer stop()
		if _, err := write(ctx, "k", slow); err == nil {
			t.Error("who does not wait any longer has an answer")
		}
		close(let)
		for range 2 {
			if s := <-got; s != `"first"` {
				t.Errorf("with the same key: %s", s)
			}
		}
		if runs != 1 {
			t.Errorf("it was done %d times", runs)
		}
	})
}
