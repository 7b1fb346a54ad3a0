package update

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// plainWeb is a [Web] that shows nothing.
type plainWeb struct{}

func (plainWeb) Get(ctx context.Context, base, path string, head http.Header) (*http.Response, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, base+path, nil)
	if err != nil {
		return nil, err
	}
	for k, v := range head {
		r.Header[k] = v
	}
	return http.DefaultClient.Do(r)
}

// served is a hub that answers as its function does.
func served(t *testing.T, answer http.HandlerFunc) Hub {
	t.Helper()
	s := httptest.NewServer(answer)
	t.Cleanup(s.Close)
	return Hub{Web: plainWeb{}, Base: func() string { return s.URL }}
}

func TestAskForRelease(t *testing.T) {
	good := release(t, newKey(t), manifestOf("v1.1.0", []byte("x")))
	cases := []struct {
		name   string
		answer http.HandlerFunc
		want   string // in the error; empty: none
	}{
		{"there", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(good.Encode()) }, ""},
		{"none", http.NotFound, ErrNoRelease.Error()},
		{"refused", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusForbidden) }, "refuses"},
		{"redirected", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusFound) }, ""},
		{"down", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) }, "502"},
		{"no JSON", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "<html>") }, "release"},
		{"endless", func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, strings.Repeat(" ", MaxRelease+1))
		}, "more than"},
		{"silent", func(w http.ResponseWriter, r *http.Request) { w.(http.Flusher).Flush(); <-r.Context().Done() }, "sent nothing for 200ms"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			if c.name == "redirected" {
				c.want = "302"
			}
			h := served(t, c.answer)
			if c.name == "silent" {
				h.Stall = 200 * time.Millisecond
			}
			r, err := h.Release(t.Context(), Arch())
			if c.want == "" && (err != nil || r.Manifest != good.Manifest) {
				t.Errorf("%+v, %v", r, err)
			}
			if c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
				t.Errorf("%v, want %q", err, c.want)
			}
		})
	}
}

func TestAskForProgram(t *testing.T) {
	program := script("v1.1.0")
	m := manifestOf("v1.1.0", program)
	good := func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("ETag", ETag(m))
		http.ServeContent(w, r, "", m.Built, bytes.NewReader(program))
	}
	cases := []struct {
		name   string
		answer http.HandlerFunc
		from   int64
		at     int64
		want   error
	}{
		{"from the start", good, 0, 0, nil},
		{"packed", func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("Accept-Encoding") != "gzip" || r.Header.Get("Range") != "" {
				t.Errorf("asked with %v", r.Header)
			}
			w.Header().Set("Content-Encoding", "gzip")
			zip := gzip.NewWriter(w)
			_, _ = zip.Write(program)
			_ = zip.Close()
		}, 0, 0, nil},
		{"packed, and cut off at once", func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Content-Encoding", "gzip") }, 0, 0, io.EOF},
		{"from the middle", good, 700_000, 700_000, nil},
		{"a hub that cannot go on", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(program) }, 700_000, 0, nil},
		{"another release by now", func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("ETag", `"other"`)
			http.ServeContent(w, r, "", m.Built, bytes.NewReader(program))
		}, 0, 0, ErrMoved},
		{"none any more", http.NotFound, 0, 0, ErrMoved},
		{"another part", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Range", "bytes 0-1/2")
			w.WriteHeader(http.StatusPartialContent)
		}, 700_000, 0, errGone},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			body, at, err := served(t, c.answer).Program(t.Context(), m, c.from)
			if !errors.Is(err, c.want) || at != c.at {
				t.Fatalf("from %d, %v, want from %d, %v", at, err, c.at, c.want)
			}
			if err != nil {
				return
			}
			defer body.Close()
			b, err := io.ReadAll(body)
			if err != nil || !bytes.Equal(b, program[at:]) {
				t.Errorf("%d bytes, %v", len(b), err)
			}
		})
	}
}

// Where the hub's address is not known yet, that is what is said.
func TestAskNobody(t *testing.T) {
	h := Hub{Web: plainWeb{}, Base: func() string { return "" }}
	if _, err := h.Release(t.Context(), Arch()); !errors.Is(err, errNoWeb) {
		t.Error(err)
	}
}
