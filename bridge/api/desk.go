package api

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"hash/maphash"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tacet-hub/tacet/broker/area"
	"github.com/tacet-hub/tacet/broker/auth"
)

// Bounds of a desk.
const (
	deskWorkers  = 4
	deskQueue    = 64 // requests that wait for one worker
	deskPatience = 30 * time.Second
)

// DeskParts are what a desk stands on.
type DeskParts struct {
	Bus area.Bus
	API *API
	// Principal is who published a request; false where that is not known any more.
	Principal func(area.Message) (auth.Principal, bool)
	// MayAnswer tells whether an answer may go to the topic that a request names
	// beside tacet/response/#: whether its publisher may read it, and write it.
	MayAnswer func(who auth.Principal, topic string) bool
}

// Desk answers requests of REST that come over MQTT. A request that finds the
// queue full is answered with the code rate, and counted.
type Desk struct {
	DeskParts
	log    *slog.Logger
	queues [deskWorkers]chan area.Message
	busy   chan area.Message // requests that are refused for want of room; those beyond it are only counted
	seed   maphash.Seed

	answered, refused, malformed, full atomic.Uint64
}

// DeskStats counts requests over MQTT.
type DeskStats struct {
	Answered  uint64 // whatever the answer was
	Refused   uint64 // not answered: nobody may know who asked
	Malformed uint64 // not answered: they could not be read, or name no place for an answer
	Full      uint64 // refused: too many waited
}

// NewDesk makes a desk; it answers while Run does.
func NewDesk(p DeskParts, log *slog.Logger) (*Desk, error) {
	if p.Bus == nil || p.API == nil || p.Principal == nil || p.MayAnswer == nil {
		return nil, errors.New("desk: a part is missing")
	}
	d := &Desk{DeskParts: p, log: log, busy: make(chan area.Message, deskQueue), seed: maphash.MakeSeed()}
	for i := range d.queues {
		d.queues[i] = make(chan area.Message, deskQueue)
	}
	return d, nil
}

// Stats counts.
func (d *Desk) Stats() DeskStats {
	return DeskStats{Answered: d.answered.Load(), Refused: d.refused.Load(), Malformed: d.malformed.Load(), Full: d.full.Load()}
}

// Run answers until ctx ends; it then returns nil. Its error is that of the
// subscription.
func (d *Desk) Run(ctx context.Context) error {
	cancel, err := d.Bus.Subscribe(area.Root+"/request/+/+", d.enqueue)
	if err != nil {
		return err
	}
	defer cancel()
	var wg sync.WaitGroup
	for _, q := range d.queues {
		wg.Go(func() { d.work(ctx, q, d.answer) })
	}
	wg.Go(func() { d.work(ctx, d.busy, d.turnAway) })
	wg.Wait()
	return nil
}

// enqueue takes a request on the publisher's goroutine. One that was retained was
// answered when it came, if the hub was there.
func (d *Desk) enqueue(m area.Message) {
	if m.Replay || len(m.Payload) == 0 {
		return
	}
	select {
	case d.queues[maphash.String(d.seed, m.From)%deskWorkers] <- m:
	default:
		d.full.Add(1)
		select {
		case d.busy <- m:
		default:
		}
	}
}

func (d *Desk) work(ctx context.Context, queue <-chan area.Message, do func(context.Context, area.Message)) {
	for {
		select {
		case <-ctx.Done():
			return
		case m := <-queue:
			do(ctx, m)
		}
	}
}

// request is a request as it comes. Fields that are not known are ignored.
type request struct {
	Transaction string                     `json:"transaction"`
	ID          string                     `json:"id"`
	Sub         string                     `json:"sub"` // what of the object: "stop" of an area
	Query       map[string]json.RawMessage `json:"query"`
	Body        json.RawMessage            `json:"body"`
	Key         string                     `json:"idempotency_key"`
}

// response is an answer. Error is null where there is none.
type response struct {
	Transaction string          `json:"transaction"`
	Status      int             `json:"status"`
	Body        json.RawMessage `json:"body"`
	Error       *fault          `json:"error,omitempty"`
}

type fault struct {
	Code   area.Code `json:"code"`
	Detail string    `json:"detail"`
}

// open reads a request and finds out who asks, and where the answer goes.
func (d *Desk) open(m area.Message) (req request, who auth.Principal, to string, ok bool) {
	who, ok = d.Principal(m)
	if !ok {
		d.refused.Add(1)
		return req, who, "", false
	}
	err := json.Unmarshal(m.Payload, &req)
	switch {
	case m.Reply != nil && m.Reply.Topic != "" && d.mayAnswer(who, m.Reply.Topic):
		to = m.Reply.Topic
	case err == nil && isTransaction(req.Transaction):
		to = area.ResponseTopic(req.Transaction)
	default:
		d.malformed.Add(1)
		d.log.Warn("request cannot be answered", "topic", m.Topic, "device", m.From, "err", err)
		return req, who, "", false
	}
	if err != nil {
		req = request{}
	}
	return req, who, to, true
}

// mayAnswer tells whether an answer may go to a topic that the request names.
func (d *Desk) mayAnswer(who auth.Principal, topic string) bool {
	if rest, ok := strings.CutPrefix(topic, area.ResponseTopic("")); ok {
		return isTransaction(rest)
	}
	return len(topic) <= 1024 && !strings.ContainsAny(topic, "+#\x00") && d.MayAnswer(who, topic)
}

// isTransaction tells whether an answer can have a topic of that name.
func isTransaction(s string) bool {
	return s != "" && len(s) <= 128 && !strings.ContainsAny(s, "/+#\x00")
}

func (d *Desk) answer(ctx context.Context, m area.Message) {
	req, who, to, ok := d.open(m)
	if !ok {
		return
	}
	out := response{Transaction: req.Transaction}
	r, err := requestOf(ctx, area.ParseTopic(m.Topic).Name, req, m)
	if err != nil {
		out.fail(err)
	} else {
		out.serve(d.API, r, who)
	}
	d.send(ctx, to, m, out)
}

// turnAway answers a request for which there was no room.
func (d *Desk) turnAway(ctx context.Context, m area.Message) {
	req, _, to, ok := d.open(m)
	if !ok {
		return
	}
	out := response{Transaction: req.Transaction}
	out.fail(area.Errorf(area.CodeRate, "too many requests wait"))
	d.send(ctx, to, m, out)
}

func (d *Desk) send(ctx context.Context, to string, m area.Message, out response) {
	b, err := json.Marshal(out)
	if err != nil {
		d.log.Error("answer has no JSON", "topic", m.Topic, "err", err)
		return
	}
	answer := area.Message{Topic: to, Payload: b, QoS: 1, From: area.FromHub}
	if m.Reply != nil {
		answer.Reply = &area.Reply{Correlation: m.Reply.Correlation}
	}
	if err := d.Bus.Publish(ctx, answer); err != nil && ctx.Err() == nil {
		d.log.Warn("answer not published", "topic", to, "err", err)
		return
	}
	d.answered.Add(1)
}

// deskCaller is the key under which a request of the desk has who asks.
type deskCaller struct{}

// serve has the API answer a request.
func (out *response) serve(a *API, r *http.Request, who auth.Principal) {
	ctx, cancel := context.WithTimeout(context.WithValue(r.Context(), deskCaller{}, who), deskPatience)
	defer cancel()
	page := &sheet{header: http.Header{}, status: http.StatusOK}
	a.ServeHTTP(page, r.WithContext(ctx))
	out.Status, out.Body = page.status, json.RawMessage("null")
	if json.Valid(page.Bytes()) {
		out.Body = bytes.TrimSpace(page.Bytes())
	}
	var p Problem
	if page.status >= http.StatusBadRequest && json.Unmarshal(out.Body, &p) == nil {
		out.Error = &fault{p.Code, p.Detail}
	}
}

func (out *response) fail(err error) {
	p := problemOf(err, "")
	out.Status, out.Error, out.Body = p.Status, &fault{p.Code, p.Detail}, json.RawMessage("null")
}

// sheet is what an answer is written on.
type sheet struct {
	bytes.Buffer
	header http.Header
	status int
}

func (s *sheet) Header() http.Header    { return s.header }
func (s *sheet) WriteHeader(status int) { s.status = status }

// methods are the verbs of requests as REST has them.
var methods = map[string]string{
	"get": http.MethodGet, "list": http.MethodGet, "create": http.MethodPost, "replace": http.MethodPut, "patch": http.MethodPatch, "delete": http.MethodDelete,
}

// requestOf is the request of REST that one of MQTT, on resource/verb, stands for.
func requestOf(ctx context.Context, name string, req request, m area.Message) (*http.Request, error) {
	resource, verb, _ := strings.Cut(name, "/")
	method, ok := methods[verb]
	switch {
	case !ok:
		return nil, area.Errorf(area.CodeMethod, "%.20q is none of get, list, create, replace, patch, delete", verb)
	case !area.IsID(resource):
		return nil, area.Errorf(area.CodeNotFound, "nothing is served at %.80q", resource)
	case verb == "get" && req.ID == "", verb == "list" && req.ID != "" && req.Sub == "":
		return nil, area.Errorf(area.CodeBadRequest, "get needs an id, and list has none")
	case method == http.MethodPost && (resource == "tokens" || resource == "enrolments"):
		return nil, area.Errorf(area.CodeForbidden, "the answer is a secret, which is not told over MQTT")
	}
	path := Prefix + "/" + resource
	for _, level := range append([]string{req.ID}, strings.Split(req.Sub, "/")...) {
		if level == "." || level == ".." {
			return nil, area.Errorf(area.CodeNotFound, "nothing is called %q", level)
		}
		if level != "" {
			path += "/" + url.PathEscape(level)
		}
	}
	query, err := queryOf(req.Query)
	if err != nil {
		return nil, err
	}
	var body []byte
	if text := string(bytes.TrimSpace(req.Body)); text != "null" {
		body = []byte(text)
	}
	r, err := http.NewRequestWithContext(ctx, method, path+query, bytes.NewReader(body))
	if err != nil {
		return nil, area.Errorf(area.CodeBadRequest, "the id or sub cannot be a part of a path")
	}
	r.RemoteAddr, r.RequestURI = "mqtt:"+m.From, path+query
	if len(body) > 0 {
		r.Header.Set("Content-Type", "application/json")
	}
	if req.Key != "" {
		r.Header.Set("Idempotency-Key", req.Key)
	}
	return r, nil
}

// queryOf is the query of an address: texts as they are, numbers, true and false
// as JSON has them; null is left out.
func queryOf(fields map[string]json.RawMessage) (string, error) {
	values := url.Values{}
	for name, raw := range fields {
		var text string
		switch b := bytes.TrimSpace(raw); {
		case json.Unmarshal(b, &text) == nil && string(b) != "null":
		case string(b) == "null":
			continue
		case len(b) > 0 && (b[0] == '{' || b[0] == '['):
			return "", area.InvalidField("query."+name, "neither text, number, true nor false")
		default:
			text = string(b)
		}
		values.Set(name, text)
	}
	if len(values) == 0 {
		return "", nil
	}
	return "?" + values.Encode(), nil
}
