package cases

import (
	"errors"
	"fmt"
	"net"
	"runtime"
	"strings"
	"sync"
	"testing/synctest"
	"time"
)

// site is where a case happens: a broker of its own, and a pair of ordinary
// clients beside whom it happens.
type site struct {
	server   server
	patience time.Duration // what should come has come by then
	bare     bool          // the library, as it comes
	bubble   bool          // time is that of a bubble
	log      *record       // what the broker logs; nil where that is not known

	publisher, subscriber *client // the pair
	said                  int     // messages of the pair
	stopped               bool    // the case has stopped the broker

	work sync.WaitGroup // goroutines of the case

	mu    sync.Mutex
	fault error // the first
	open  []net.Conn
}

// server is a running broker.
type server interface {
	// dial opens a connection on which nothing has been said yet.
	dial() (net.Conn, error)
	// restart stops the broker and starts it again on what it has stored. The
	// connections of the site have been closed before.
	restart() error
	// close stops the broker, and returns when nothing of it is left.
	close()
}

// judge runs a case at a site and answers what is amiss.
func judge(c testCase, s *site) error {
	s.work.Go(func() {
		s.meet()
		c.run(s)
		if !s.stopped {
			s.checkPair()
		}
	})
	s.work.Wait()
	s.hangUp()
	s.server.close()
	return s.fault
}

// Errorf notes what is amiss and goes on; the first note stands.
func (s *site) Errorf(format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fault == nil {
		s.fault = fmt.Errorf(format, args...)
	}
}

// Fatalf notes what is amiss and ends the goroutine of the case.
func (s *site) Fatalf(format string, args ...any) {
	s.Errorf(format, args...)
	runtime.Goexit()
}

// do runs part of a case beside the rest of it.
func (s *site) do(part func()) { s.work.Go(part) }

// pair is who the pair is where clients have to say who they are.
var pair = []person{
	{name: "pair-1", publish: []string{"pair/talk"}},
	{name: "pair-2", subscribe: []string{"pair/talk"}},
}

// meet connects the pair.
func (s *site) meet() {
	s.publisher = s.connect(4, "pair-1", as("pair-1"))
	s.subscriber = s.connect(5, "pair-2", as("pair-2"))
	s.subscriber.subscribe(1, "pair/talk")
}

// checkPair fails unless the pair is served as if there was nobody else.
func (s *site) checkPair() {
	for range 3 {
		s.said++
		want := fmt.Sprint(s.said)
		s.publisher.what, s.subscriber.what = "the pair beside it: ", "the pair beside it: "
		s.publisher.publish("pair/talk", want, 1)
		if got := s.subscriber.take(); string(got.Payload) != want {
			s.Fatalf("the pair beside it: %q came, want %q", got.Payload, want)
		}
	}
}

// pass lets time go by in a bubble, while the pair keeps itself alive.
func (s *site) pass(d time.Duration) {
	const beat = 5 * time.Minute
	for ; d > 0; d -= beat {
		time.Sleep(min(d, beat))
		s.publisher.ping()
		s.subscriber.ping()
	}
	synctest.Wait()
}

// settle lets what is going on come to rest, where that can be known. Ours needs
// none of it: a connection that is in again has seen the end of the one before.
func (s *site) settle() {
	if s.bubble {
		synctest.Wait()
	}
}

// restart has the broker start again, and the pair come back.
func (s *site) restart() {
	s.hangUp()
	if err := s.server.restart(); err != nil {
		s.Fatalf("restart: %v", err)
	}
	s.meet()
}

// dial opens a connection that is closed when the case is over.
func (s *site) dial() net.Conn {
	conn, err := s.server.dial()
	if err != nil {
		s.Fatalf("dial: %v", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.open = append(s.open, conn)
	return conn
}

func (s *site) hangUp() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, conn := range s.open {
		_ = conn.Close()
	}
	s.open = nil
}

// record is a log that is kept.
type record struct {
	mu   sync.Mutex
	text strings.Builder
}

func (r *record) Write(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.text.Write(p)
}

func (r *record) String() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.text.String()
}

var errNoRestart = errors.New("this broker cannot be started again here")
