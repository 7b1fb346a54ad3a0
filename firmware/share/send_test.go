package share

import (
	"net/http/httptest"
	"strings"
	"testing"
)

// A clip is sent from where a range begins, whole where there is none of that form.
func TestSend(t *testing.T) {
	for from, want := range map[string]string{
		"": "200 0123456789 ", "bytes=0-": "206 0123456789 bytes 0-9/10", "bytes=7-": "206 789 bytes 7-9/10", "bytes=10-": "416  bytes */10", "bytes=99-": "416  bytes */10",
		"bytes=2-4": "200 0123456789 ", "bytes=-3": "200 0123456789 ", "bytes=1-,3-": "200 0123456789 ", "lines=1-": "200 0123456789 ",
	} {
		w := httptest.NewRecorder()
		send(w, from, strings.NewReader("0123456789"))
		body := w.Body.String()
		if w.Code >= 400 {
			body = ""
		}
		code := strings.Fields(w.Result().Status)[0]
		if got := code + " " + body + " " + w.Header().Get("Content-Range"); got != want {
			t.Errorf("%q: %q, want %q", from, got, want)
		}
	}
}
