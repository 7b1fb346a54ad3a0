package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/tacet-hub/tacet/broker/area"
	"github.com/tacet-hub/tacet/cmd/internal/conf"
	"github.com/tacet-hub/tacet/cmd/internal/hubd"
)

// hub is a whole hub.
type hub struct {
	t     *testing.T
	ready hubd.Ready
	data  string
	web   *http.Client
	stop  func() error // ends it and waits; again: the same answer
}

// lease is the areas' in most tests: no device loses what it holds, or has to play
// again, because the machine stands still for a while.
const lease = 6 * time.Second

// site is the configuration that most tests use: two areas of two gates.
func site(dir string) conf.Config {
	c := conf.Default()
	c.Data, c.HTTP.Addr, c.HTTP.AdminAddr, c.MQTT.Addr = dir, "127.0.0.1:0", "127.0.0.1:0", "127.0.0.1:0"
	c.Mappings = []conf.Mapping{{Topic: "barrier", Group: "barrier", Event: "Barrier"}}
	for _, a := range []conf.Area{
		{ID: "north", Name: "North Wing", Locations: []conf.Location{{ID: "1", Name: "Gate 1"}, {ID: "2", Name: "Gate 2"}}},
		{ID: "south", Name: "South Wing", Locations: []conf.Location{{ID: "3", Name: "Gate 3"}, {ID: "4", Name: "Gate 4"}}},
	} {
		full := conf.Area{}
		full.SetDefaults()
		full.ID, full.Name, full.Locations, full.Lease = a.ID, a.Name, a.Locations, lease
		c.Areas = append(c.Areas, full)
	}
	return c
}

// start runs a hub in this process until the test ends; it knows what each area does
// when start returns. No device can be older than it, so it does not settle.
func start(t *testing.T, change ...func(*conf.Config)) *hub {
	t.Helper()
	cfg := site(t.TempDir())
	for _, f := range change {
		f(&cfg)
	}
	d, err := hubd.New(cfg, hubd.Options{ColdStart: true, Version: "e2e", Patience: patience}, slog.New(slog.NewTextHandler(t.Output(), nil)))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var ran error
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		ran = d.Run(ctx)
	}()
	h := &hub{t: t, data: cfg.Data, web: &http.Client{Timeout: patience, Transport: &http.Transport{}}}
	h.stop = func() error {
		cancel()
		<-ended
		return ran
	}
	t.Cleanup(func() {
		h.web.CloseIdleConnections()
		if err := h.stop(); err != nil {
			t.Errorf("the hub ended with %v", err)
		}
	})
	select {
	case h.ready = <-d.Ready():
	case <-ended:
		t.Fatalf("the hub did not start: %v", ran)
	}
	return h
}

// port is the port of an address of the hub's.
func port(t testing.TB, address string) string {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	return u.Port()
}

// answer is what REST answered.
type answer struct {
	status int
	header http.Header
	body   []byte
}

// call asks REST for something; path begins below /api/v1, or with http. The
// body is sent as it is where it is bytes or text, else as JSON. header has
// pairs of names and values.
func (h *hub) call(method, path string, body any, header ...string) answer {
	h.t.Helper()
	var send io.Reader
	switch b := body.(type) {
	case nil:
	case []byte:
		send = bytes.NewReader(b)
	case string:
		send = strings.NewReader(b)
	default:
		raw, err := json.Marshal(b)
		if err != nil {
			h.t.Fatal(err)
		}
		send = bytes.NewReader(raw)
	}
	if !strings.HasPrefix(path, "http") {
		path = h.ready.HTTP + "/api/v1" + path
	}
	req, err := http.NewRequestWithContext(h.t.Context(), method, path, send)
	if err != nil {
		h.t.Fatal(err)
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
		if header[i] == "Host" {
			req.Host = header[i+1]
		}
	}
	res, err := h.web.Do(req)
	if err != nil {
		h.t.Fatalf("%s %s: %v", method, path, err)
	}
	defer res.Body.Close()
	raw, err := io.ReadAll(res.Body)
	if err != nil {
		h.t.Fatalf("%s %s: %v", method, path, err)
	}
	return answer{res.StatusCode, res.Header, raw}
}

// want fails the test unless the answer has this status, and reads its body
// where into is not nil.
func (a answer) want(t testing.TB, status int, into any) {
	t.Helper()
	if a.status != status {
		t.Fatalf("answered %d %s, want %d", a.status, a.body, status)
	}
	if into == nil {
		return
	}
	if err := json.Unmarshal(a.body, into); err != nil {
		t.Fatalf("answer %s: %v", a.body, err)
	}
}

// get reads one object or list.
func (h *hub) get(path string, into any) {
	h.t.Helper()
	h.call("GET", path, nil).want(h.t, http.StatusOK, into)
}

// announce posts an order and answers its id.
func (h *hub) announce(order any) area.WorkID {
	h.t.Helper()
	var made area.Accepted
	h.call("POST", "/orders", order).want(h.t, http.StatusAccepted, &made)
	return made.ID
}

// order is an order as it is now.
func (h *hub) order(id area.WorkID) (o area.Order) {
	h.t.Helper()
	h.get("/orders/"+string(id), &o)
	return o
}

// waits waits until an order waits for a device, which it does a moment after it was
// accepted, or taken up again; who asks is said as for call.
func (h *hub) waits(id area.WorkID, who ...string) {
	h.t.Helper()
	h.until("order "+string(id)+" waits", func() bool {
		var o area.Order
		h.call("GET", "/orders/"+string(id), nil, who...).want(h.t, http.StatusOK, &o)
		return o.State == area.OrderWaiting
	})
}

// metric is a number that the hub counts; 0 where it has not counted yet.
func (h *hub) metric(name string) float64 {
	h.t.Helper()
	a := h.call("GET", h.ready.Admin+"/metrics", nil)
	a.want(h.t, http.StatusOK, nil)
	m := regexp.MustCompile(`(?m)^` + regexp.QuoteMeta(name) + ` (\S+)$`).FindSubmatch(a.body)
	if m == nil {
		return 0
	}
	v, err := strconv.ParseFloat(string(m[1]), 64)
	if err != nil {
		h.t.Fatalf("metric %s: %v", name, err)
	}
	return v
}

// same fails the test where two values differ.
func same[T any](t testing.TB, what string, got, want T) {
	t.Helper()
	g, w := fmt.Sprintf("%+v", got), fmt.Sprintf("%+v", want)
	if g == w {
		return
	}
	from := 0
	for from < min(len(g), len(w)) && g[from] == w[from] {
		from++
	}
	from = max(0, from-100)
	t.Errorf("%s, from byte %d on, is %.300q, want %.300q", what, from, g[from:], w[from:])
}

// brief is the newest of what was told, not too long for a failure's text.
func brief[T any](list []T) string {
	const most = 30
	var b strings.Builder
	if len(list) > most {
		fmt.Fprintf(&b, "(%d and) ", len(list)-most)
		list = list[len(list)-most:]
	}
	for _, v := range list {
		fmt.Fprintf(&b, "\n\t%.240s", fmt.Sprint(v))
	}
	if len(list) == 0 {
		return "nothing"
	}
	return b.String()
}
