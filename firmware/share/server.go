package share

import (
	"context"
	"crypto/hmac"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/tacet-hub/tacet/broker/area"
	"github.com/tacet-hub/tacet/broker/clip"
	"golang.org/x/time/rate"
)

// Server answers the neighbours. It is safe for concurrent use.
type Server struct {
	cfg     Config
	shelf   Shelf
	numbers numbers
	slots   chan struct{} // who is given a clip has one
	asks    *rate.Limiter // requests
	bytes   *rate.Limiter
	count   counters
	web     http.Handler
}

type counters struct {
	given, bytes, asked, strangers, full, many atomic.Uint64
}

// Stats counts what a [Server] has done.
type Stats struct {
	Given     uint64 // clips, or parts of one, that were sent to their end
	Bytes     uint64 // of them
	Asked     uint64 // what it has
	Strangers uint64 // requests of nobody who knows the key
	Full      uint64 // clips that were asked for with too many under way
	Many      uint64 // connections that were closed, and requests refused, as one too many
}

// NewServer makes a server of what is on a shelf. Its error is a configuration
// that is not valid.
func NewServer(cfg Config, shelf Shelf) (*Server, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	cfg.fill()
	s := &Server{cfg: cfg, shelf: shelf, numbers: newNumbers(), slots: make(chan struct{}, cfg.AtOnce),
		asks: rate.NewLimiter(asksASec, 2*asksASec), bytes: rate.NewLimiter(rate.Limit(cfg.Rate), piece)}
	s.web = s.admitted(http.HandlerFunc(s.give))
	return s, nil
}

// Stats is a snapshot of the counters.
func (s *Server) Stats() Stats {
	c := &s.count
	return Stats{Given: c.given.Load(), Bytes: c.bytes.Load(), Asked: c.asked.Load(), Strangers: c.strangers.Load(), Full: c.full.Load(), Many: c.many.Load()}
}

// admitted lets the members of the area in.
func (s *Server) admitted(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case !s.asks.Allow():
			s.count.many.Add(1)
			refuse(w, http.StatusServiceUnavailable)
		case !s.knows(r):
			s.count.strangers.Add(1)
			w.Header().Set("WWW-Authenticate", scheme+" "+s.numbers.next())
			refuse(w, http.StatusUnauthorized)
		default:
			next.ServeHTTP(w, r)
		}
	})
}

// knows tells whether a request comes from a member of the area.
func (s *Server) knows(r *http.Request) bool {
	word := strings.Fields(r.Header.Get("Authorization"))
	roster, ok := s.cfg.Roster()
	if !ok || len(word) != 4 || word[0] != scheme || !s.numbers.good(word[2]) {
		return false
	}
	from := area.DeviceID(word[1])
	_, member := roster.Member(from)
	return member && hmac.Equal([]byte(word[3]), []byte(macOf(roster.Key, roster.Area, from, s.cfg.Device, r.Method, r.URL.Path, word[2])))
}

func refuse(w http.ResponseWriter, code int) {
	if code == http.StatusServiceUnavailable {
		w.Header().Set("Retry-After", "1")
	}
	http.Error(w, http.StatusText(code), code)
}

// give answers for one clip.
func (s *Server) give(w http.ResponseWriter, r *http.Request) {
	name, ok := strings.CutPrefix(r.URL.Path, "/clips/")
	sum, err := clip.ParseSum(name)
	if !ok || err != nil {
		refuse(w, http.StatusNotFound)
		return
	}
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		refuse(w, http.StatusMethodNotAllowed)
		return
	}
	if r.Method == http.MethodHead {
		s.tell(w, sum)
		return
	}
	select {
	case s.slots <- struct{}{}:
		defer func() { <-s.slots }()
	default:
		s.count.full.Add(1)
		refuse(w, http.StatusServiceUnavailable)
		return
	}
	f, err := s.shelf.Look(sum)
	if err != nil {
		refuse(w, http.StatusNotFound)
		return
	}
	defer f.Close()
	w.Header().Set("Content-Type", "application/octet-stream")
	p := &paced{ResponseWriter: w, s: s, ctx: r.Context()}
	send(p, r.Header.Get("Range"), f)
	if p.err == nil && r.Context().Err() == nil {
		s.count.given.Add(1)
	}
}

// send writes the bytes of a clip, from where a range "bytes=N-" begins; of ranges of
// another form, as HTTP has it, nothing is made. What cannot be sent is asked for again.
func send(w http.ResponseWriter, from string, f io.ReadSeeker) {
	size, err := f.Seek(0, io.SeekEnd)
	if err != nil {
		refuse(w, http.StatusServiceUnavailable)
		return
	}
	code, at := http.StatusOK, int64(0)
	if digits, ok := strings.CutPrefix(from, "bytes="); ok {
		n, err := strconv.ParseInt(strings.TrimSuffix(digits, "-"), 10, 64)
		if err == nil && strings.HasSuffix(digits, "-") && n >= 0 {
			code, at = http.StatusPartialContent, n
		}
	}
	if at > 0 && at >= size {
		w.Header().Set("Content-Range", "bytes */"+strconv.FormatInt(size, 10))
		refuse(w, http.StatusRequestedRangeNotSatisfiable)
		return
	}
	if _, err := f.Seek(at, io.SeekStart); err != nil {
		refuse(w, http.StatusServiceUnavailable)
		return
	}
	if code == http.StatusPartialContent {
		w.Header().Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", at, size-1, size))
	}
	w.Header().Set("Accept-Ranges", "bytes")
	w.Header().Set("Content-Length", strconv.FormatInt(size-at, 10))
	w.WriteHeader(code)
	_, _ = io.CopyN(w, f, size-at) // who is gone asks again
}

// tell says what there is of a clip.
func (s *Server) tell(w http.ResponseWriter, sum clip.Sum) {
	s.count.asked.Add(1)
	whole, coming := s.shelf.Has(sum)
	switch {
	case whole:
		w.WriteHeader(http.StatusOK)
	case coming:
		w.WriteHeader(http.StatusAccepted)
	default:
		w.WriteHeader(http.StatusNotFound)
	}
}

// paced writes no faster than the server gives, and only to who takes it.
type paced struct {
	http.ResponseWriter
	s   *Server
	ctx context.Context
	err error
}

// Write is io.Writer.
func (p *paced) Write(b []byte) (n int, err error) {
	out := http.NewResponseController(p.ResponseWriter)
	for len(b) > 0 && p.err == nil {
		k := min(len(b), piece)
		if p.err = p.s.bytes.WaitN(p.ctx, k); p.err != nil {
			break
		}
		_ = out.SetWriteDeadline(time.Now().Add(pieceTime)) // a connection has it
		k, p.err = p.ResponseWriter.Write(b[:k])
		p.s.count.bytes.Add(uint64(k))
		n, b = n+k, b[k:]
	}
	return n, p.err
}
