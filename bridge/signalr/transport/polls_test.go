package transport

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"
)

// unwritten is an answer that the client's connection does not take.
type unwritten struct{ *httptest.ResponseRecorder }

func (unwritten) FlushError() error { return errors.New("connection reset by peer") }

// TestPollThatNobodyHears: what a poll would have told whose client is gone the next one
// tells; what it has told in vain ends the connection.
func TestPollThatNobodyHears(t *testing.T) {
	p := NewPolls()
	poll := func(ctx context.Context, w http.ResponseWriter) {
		t.Helper()
		p.Poll(w, httptest.NewRequestWithContext(ctx, http.MethodGet, "/", nil), time.Minute)
	}
	say := func(text string) {
		t.Helper()
		frame := append([]byte{0x81, byte(len(text))}, text...) // as the server writes a short text
		if _, err := p.Write(frame); err != nil {
			t.Fatal(err)
		}
	}
	heard := func(status int, text string) {
		t.Helper()
		w := httptest.NewRecorder()
		if poll(t.Context(), w); w.Code != status || w.Body.String() != text {
			t.Errorf("answered %d %q, want %d %q", w.Code, w.Body, status, text)
		}
	}
	heard(http.StatusOK, "") // the first poll opens
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	for range 20 {
		say("a")
		poll(gone, httptest.NewRecorder())
		heard(http.StatusOK, "a")
	}
	say("b")
	poll(t.Context(), unwritten{httptest.NewRecorder()})
	heard(http.StatusNoContent, "")
	if _, err := p.Write([]byte{0x81, 1, 'c'}); err == nil {
		t.Error("the connection goes on")
	}
}
