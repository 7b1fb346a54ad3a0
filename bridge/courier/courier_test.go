package courier

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/tacet-hub/tacet/bridge/backplane"
	"github.com/tacet-hub/tacet/broker/clip"
)

// shelf is a shelf in memory. hold, where there is one, is asked before each piece is
// laid down.
type shelf struct {
	mu   sync.Mutex
	lies map[string][]byte
	most int
	hold func(name string, b []byte) ([]byte, error)
}

func (s *shelf) Lay(_ context.Context, name string, b []byte, long time.Duration) (err error) {
	if s.hold != nil {
		if b, err = s.hold(name, b); err != nil {
			return err
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.lies == nil {
		s.lies = map[string][]byte{}
	}
	s.lies[name] = bytes.Clone(b)
	s.most = max(s.most, len(s.lies))
	return nil
}

func (s *shelf) Take(_ context.Context, name string) ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	b, ok := s.lies[name]
	if !ok {
		return nil, errors.New("nothing lies there")
	}
	delete(s.lies, name)
	return b, nil
}

// node is a node with clips of its own.
type node struct {
	*Courier
	clips  *clip.Store
	needed map[clip.Sum]bool
}

// crew are nodes that share a shelf.
func crew(t *testing.T, s *shelf, names ...string) (list []*node) {
	t.Helper()
	x := new(backplane.Exchange)
	for _, name := range names {
		n := &node{needed: map[clip.Sum]bool{}}
		var err error
		if n.clips, err = clip.Open(clip.Config{Dir: t.TempDir(), Needed: func() map[clip.Sum]bool { return n.needed }}); err != nil {
			t.Fatal(err)
		}
		mux := backplane.NewMux(x.Join(name, ""))
		n.Courier = New(mux, n.clips, s, slog.New(slog.DiscardHandler))
		ctx, stop := context.WithCancel(context.Background())
		var tasks sync.WaitGroup
		tasks.Go(func() { _ = mux.Run(ctx) })
		tasks.Go(func() { _ = n.Run(ctx) })
		t.Cleanup(func() { stop(); tasks.Wait() })
		list = append(list, n)
	}
	for _, n := range list {
		until(t, "every node is known", func() bool { return len(n.mux.Plane().Nodes()) == len(names) })
	}
	return list
}

func until(t *testing.T, what string, so func() bool) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(time.Minute); !so(); <-tick.C {
		if time.Now().After(end) {
			t.Fatalf("not within the time: %s", what)
		}
	}
}

func (n *node) put(t *testing.T, b []byte, about clip.About) clip.Sum {
	t.Helper()
	info, _, err := n.clips.Put(t.Context(), bytes.NewReader(b), about)
	if err != nil {
		t.Fatal(err)
	}
	return info.Sum
}

func (n *node) read(t *testing.T, sum clip.Sum) []byte {
	t.Helper()
	f, _, err := n.clips.Open(sum)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	b, err := io.ReadAll(f)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// bytesOf is so many bytes that are like no others.
func bytesOf(n int, seed byte) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i>>8) ^ byte(i) ^ seed
	}
	return b
}

func TestAClipIsBroughtPieceByPiece(t *testing.T) {
	s := &shelf{}
	list := crew(t, s, "a", "b", "c")
	for _, size := range []int{1, pieceBytes - 1, pieceBytes, pieceBytes + 1, 3*pieceBytes + 7} {
		file := bytesOf(size, byte(size))
		sum := list[0].put(t, file, clip.About{Name: "gong", Key: "speech:x"})
		info, err := list[1].Fetch(t.Context(), sum)
		if err != nil || info.Name != "gong" || len(info.Keys) != 1 || info.Keys[0] != "speech:x" {
			t.Fatalf("%d bytes: %+v, %v", size, info, err)
		}
		if !bytes.Equal(list[1].read(t, sum), file) {
			t.Errorf("%d bytes are others", size)
		}
	}
	if st := list[1].Stats(); st.Fetched != 5 || st.Bytes != uint64(6*pieceBytes+8) || st.Failed+st.Unknown != 0 {
		t.Errorf("%+v", st)
	}
	if len(s.lies) != 0 || s.most != 1 {
		t.Errorf("%d pieces are left, at most %d lay there", len(s.lies), s.most)
	}
}

func TestManyAskForOneClip(t *testing.T) {
	s := &shelf{}
	list := crew(t, s, "a", "b")
	sum := list[0].put(t, bytesOf(2*pieceBytes, 1), clip.About{})
	var all sync.WaitGroup
	for range 16 {
		all.Go(func() {
			if _, err := list[1].Fetch(t.Context(), sum); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if st := list[0].Stats(); st.Given != 2 {
		t.Errorf("the node that has it laid %d pieces down, want 2", st.Given)
	}
}

func TestWhoWaitsGoesOnWhenTheFirstIsGone(t *testing.T) {
	entered, hold := make(chan struct{}, 8), make(chan struct{})
	s := &shelf{hold: func(_ string, b []byte) ([]byte, error) { entered <- struct{}{}; <-hold; return b, nil }}
	list := crew(t, s, "a", "b")
	sum := list[0].put(t, bytesOf(10, 1), clip.About{})
	ctx, stop := context.WithCancel(t.Context())
	gone := make(chan struct{})
	var all sync.WaitGroup
	all.Go(func() {
		defer close(gone)
		if _, err := list[1].Fetch(ctx, sum); !errors.Is(err, context.Canceled) {
			t.Errorf("who has gone is told %v", err)
		}
	})
	<-entered
	all.Go(func() {
		if _, err := list[1].Fetch(t.Context(), sum); err != nil {
			t.Error(err)
		}
	})
	stop()
	<-gone
	close(hold)
	all.Wait()
}

func TestNobodyHasIt(t *testing.T) {
	list := crew(t, &shelf{}, "a", "b")
	for _, n := range list {
		if _, err := n.Fetch(t.Context(), clip.SumOf([]byte("x"))); !errors.Is(err, clip.ErrNotFound) {
			t.Errorf("told %v", err)
		}
		if st := n.Stats(); st.Unknown != 1 {
			t.Errorf("%+v", st)
		}
	}
}

// A node that falls silent in the middle is followed by another.
func TestAnotherNodeGoesOn(t *testing.T) {
	s, n := &shelf{}, 0
	s.hold = func(_ string, b []byte) ([]byte, error) {
		if n++; n == 2 {
			return nil, errors.New("no more")
		}
		return b, nil
	}
	list := crew(t, s, "a", "b", "c")
	file := bytesOf(3*pieceBytes, 1)
	sum := list[0].put(t, file, clip.About{})
	list[1].put(t, file, clip.About{})
	if _, err := list[2].Fetch(t.Context(), sum); err != nil || !bytes.Equal(list[2].read(t, sum), file) {
		t.Errorf("told %v", err)
	}
	if a, b := list[0].Stats().Given, list[1].Stats().Given; a == 0 || b == 0 || a+b != 4 {
		t.Errorf("%d and %d pieces", a, b)
	}
}

func TestOtherBytesAreRefused(t *testing.T) {
	s := &shelf{hold: func(_ string, b []byte) ([]byte, error) { b[3] ^= 1; return b, nil }}
	list := crew(t, s, "a", "b")
	sum := list[0].put(t, bytesOf(10, 1), clip.About{})
	if _, err := list[1].Fetch(t.Context(), sum); !errors.Is(err, clip.ErrSum) {
		t.Errorf("told %v", err)
	}
	if got := list[1].clips.List(); len(got) != 0 || list[1].Stats().Failed != 1 {
		t.Errorf("kept: %+v, %+v", got, list[1].Stats())
	}
}

func TestWhatIsAnnouncedIsBrought(t *testing.T) {
	list := crew(t, &shelf{}, "a", "b", "c")
	sum := list[0].put(t, bytesOf(10, 1), clip.About{})
	list[0].Announce(sum)
	for _, n := range list[1:] {
		until(t, "the clip is everywhere", func() bool { _, here := n.clips.Get(sum); return here })
	}
}

func TestAnnouncedClipsAreBounded(t *testing.T) {
	mux := backplane.NewMux(backplane.Alone("a"))
	clips, err := clip.Open(clip.Config{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	c := New(mux, clips, &shelf{}, slog.New(slog.DiscardHandler)) // does not run
	for i := range mostNews + 3 {
		sum := clip.SumOf(bytesOf(8+i, 1))
		c.hear(backplane.Envelope{Body: sum[:]})
	}
	c.hear(backplane.Envelope{Body: []byte("no name")})
	if st := c.Stats(); st.Left != 3 {
		t.Errorf("%+v, want 3 left", st)
	}
}

func TestRemove(t *testing.T) {
	list := crew(t, &shelf{}, "a", "b", "c")
	file := bytesOf(10, 1)
	sum := list[0].put(t, file, clip.About{})
	list[1].put(t, file, clip.About{})
	has := func() (n int) {
		for _, x := range list {
			if _, here := x.clips.Get(sum); here {
				n++
			}
		}
		return n
	}
	list[1].needed[sum] = true
	if err := list[2].Remove(t.Context(), sum); !errors.Is(err, clip.ErrNeeded) || has() == 0 {
		t.Errorf("of one that must stay is told %v, %d have it", err, has())
	}
	delete(list[1].needed, sum)
	if err := list[2].Remove(t.Context(), sum); err != nil || has() != 0 {
		t.Errorf("told %v, %d have it", err, has())
	}
	if err := list[2].Remove(t.Context(), sum); !errors.Is(err, clip.ErrNotFound) {
		t.Errorf("of one that is gone is told %v", err)
	}
}
