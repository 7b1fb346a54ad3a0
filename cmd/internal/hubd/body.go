package hubd

import (
	"errors"
	"io"
	"net/http"
	"time"
)

// What a body may take: so long to come at all, and then as long as it brings
// so much. A server's ReadTimeout would do neither: it would count a large clip
// and a slow one the same, and end the events of who has long sent its request.
const (
	bodyGrace = 15 * time.Second
	bodyRate  = 4 << 10 // bytes a second
)

// timely bounds the time that the body of a request takes. A connection that
// has brought a body in chunks ends with the answer: package net/http takes one
// whose length is given as well, and does not tell, and the two ends may then
// differ about where the next request begins (RFC 9112 §6.1).
func timely(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Body != nil && r.Body != http.NoBody {
			if len(r.TransferEncoding) > 0 {
				w.Header().Set("Connection", "close")
			}
			b := &timelyBody{ReadCloser: r.Body, conn: http.NewResponseController(w), end: time.Now().Add(bodyGrace)}
			_ = b.conn.SetReadDeadline(b.end)
			r.Body = b
		}
		next.ServeHTTP(w, r)
	})
}

// timelyBody puts the end off as the body comes.
type timelyBody struct {
	io.ReadCloser
	conn *http.ResponseController
	end  time.Time
}

// Read reads on, and is over the deadline where the client is too slow.
func (b *timelyBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	b.end = b.end.Add(time.Duration(n) * time.Second / bodyRate)
	if errors.Is(err, io.EOF) {
		b.end = time.Time{}
	}
	_ = b.conn.SetReadDeadline(b.end)
	return n, err
}

// Close ends reading. What has not been read is read and dropped, up to a limit
// of package net/http, until the deadline.
func (b *timelyBody) Close() error {
	err := b.ReadCloser.Close()
	_ = b.conn.SetReadDeadline(time.Time{})
	return err
}
