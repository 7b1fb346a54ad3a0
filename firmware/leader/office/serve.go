package office

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"github.com/tacet-hub/tacet/broker/area"
	"github.com/tacet-hub/tacet/firmware/leader"
)

// Host is what the program runs.
type Host interface {
	leader.Host
	Run(ctx context.Context) error
	Close() error
	Told() Told
}

// Why the program ends at once, whatever still runs in it. Who calls [Serve] ends the
// process then.
var (
	ErrNoLeave = errors.New("the device gave no leave to go on leading")
	ErrGone    = errors.New("the device is gone")
	errNoRoom  = errors.New("the device does not take what it is told")
	errSetup   = errors.New("the device did not say what is to be led")
)

// ExitNoLeave is the exit code of a program that has ended like that.
const ExitNoLeave = 3

// leaveLook is how often it is looked whether the leave is over.
const leaveLook = 100 * time.Millisecond

// desk is the program's end. All but far belongs to Serve's goroutine.
type desk struct {
	clock func() area.Instant
	out   *queue
	far   *far
	host  Host

	n     uint64                  // of the newest question
	asked map[uint64]area.Instant // questions without an answer
	askAt area.Instant
	leave area.Instant // until then
	reign *office      // nil: none
	ended chan ended
}

// office is a reign in the program.
type office struct {
	n       uint64
	cancel  context.CancelFunc
	changed chan area.Peers
	rivals  chan uint64
}

// ended is how one has ended.
type ended struct {
	n   uint64
	err error
}

// Serve is the program: it leads when the device says so, over in and out, until the
// device wants no more of it; it then returns nil and leaves nothing running. The
// first frame says what open makes a host of. clock goes on while the machine is
// suspended. [ErrNoLeave] and [ErrGone] it returns at once, and what leads may still
// run: the process is to end. Other errors are a beginning that failed, of which the
// device is told.
func Serve(in io.Reader, out io.WriteCloser, release string, open func(Setup, Link) (Host, error), clock func() area.Instant) error {
	d := &desk{clock: clock, out: newQueue(), asked: map[uint64]area.Instant{}, ended: make(chan ended, 1)}
	var writer sync.WaitGroup
	writer.Go(func() { _ = d.out.write(out) }) // that nobody reads is heard otherwise
	items := make(chan item)
	go func() { // ends with in, which is the process' own: nothing else can end a read
		defer close(items)
		_ = read(in, func(i item) bool { items <- i; return true })
	}()
	first := <-items
	setup, err := d.open(first, release, open)
	if err != nil {
		d.out.put(frame{Op: opFailed, Release: release, Err: err.Error()})
		d.out.close()
		writer.Wait()
		return err
	}
	if err := d.serve(items, release); err != nil {
		d.out.close()
		return err
	}
	owes := d.host.Told().Owes
	err = d.host.Close()
	if !owes && err == nil {
		err = mark(setup.Dir)
	}
	d.out.close()
	writer.Wait()
	return err
}

// open makes the host.
func (d *desk) open(first item, release string, open func(Setup, Link) (Host, error)) (s Setup, err error) {
	if first.Op != opOpen || first.Setup == nil {
		return s, errSetup
	}
	if s = *first.Setup; first.Release != release {
		return s, fmt.Errorf("%w: it is %.60s, not %.60s", ErrRelease, release, first.Release)
	}
	if err = os.MkdirAll(s.Dir, 0o700); err != nil {
		return s, err
	}
	if err = unmark(s.Dir); err != nil {
		return s, err
	}
	d.far = newFar(d.out)
	d.host, err = open(s, d.far)
	return s, err
}

// serve runs the host until the device wants no more of it.
func (d *desk) serve(items <-chan item, release string) error {
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	var work sync.WaitGroup
	work.Go(func() { _ = d.host.Run(ctx) }) // it answers nil
	d.leave = d.clock().Add(Leave)          // it is asked for by saying that it is open
	d.out.put(frame{Op: opOpen, Release: release})
	d.askAt = d.clock()
	look := time.NewTicker(leaveLook)
	defer look.Stop()
	for {
		d.ask()
		select {
		case i, ok := <-items:
			switch {
			case !ok && d.reign != nil:
				return ErrGone
			case !ok:
				stop()
				work.Wait()
				return nil
			}
			d.heard(ctx, i)
		case e := <-d.ended:
			d.reign.cancel()
			d.reign = nil
			if !d.out.put(frameOf(e.n, e.err)) {
				return errNoRoom
			}
		case <-look.C:
		}
		if d.reign != nil && d.clock() > d.leave {
			return ErrNoLeave
		}
	}
}

// ask asks for leave when it is time, and says how things are.
func (d *desk) ask() {
	now := d.clock()
	if now < d.askAt {
		return
	}
	d.n++
	d.asked[d.n], d.askAt = now, now.Add(Ask)
	told := d.host.Told()
	d.out.put(frame{Op: opAsk, N: d.n, Told: &told}) // where there is no room no leave comes
	delete(d.asked, d.n-mostAsked)
}

// mostAsked bounds the questions without an answer: older ones give no leave any more.
const mostAsked = 16

// heard takes in what the device says.
func (d *desk) heard(ctx context.Context, i item) {
	switch i.Op {
	case opLeave:
		if at, ok := d.asked[i.N]; ok {
			d.leave = max(d.leave, at.Add(Leave))
			delete(d.asked, i.N)
		}
	case opUp:
		d.far.stands(i.Up)
	case opTrunk:
		d.far.heard(i.trunk)
	case opLead:
		if d.reign == nil {
			d.lead(ctx, i)
		}
	case opChanged:
		if r := d.of(i); r != nil {
			latest(r.changed, i.peers)
		}
	case opRival:
		if r := d.of(i); r != nil {
			latest(r.rivals, i.Term)
		}
	case opStop:
		if r := d.of(i); r != nil {
			r.cancel()
		}
	}
}

// of is the reign of which something is said; nil: it is over.
func (d *desk) of(i item) *office {
	if d.reign == nil || d.reign.n != i.N {
		return nil
	}
	return d.reign
}

// latest puts v into a channel that holds one, in place of what waits there. This
// goroutine alone sends.
func latest[T any](c chan T, v T) {
	select {
	case <-c:
	default:
	}
	c <- v
}

// lead begins a reign.
func (d *desk) lead(ctx context.Context, i item) {
	ctx, cancel := context.WithCancel(ctx)
	o := &office{n: i.N, cancel: cancel, changed: make(chan area.Peers, 1), rivals: make(chan uint64, 1)}
	d.reign = o
	r := leader.Reign{Peers: i.peers, Term: i.Term, At: i.At, Changed: o.changed, Rivals: o.rivals,
		Ready: func(addr, web string, term uint64) {
			d.out.put(frame{Op: opReady, N: o.n, Addr: addr, Web: web, Term: term}) // where there is no room no leave comes, too
		},
		Heard:    func(term uint64) { d.out.put(frame{Op: opHeard, N: o.n, Term: term}) },
		Document: func([]byte) {}, // the device has it already
	}
	go func() { d.ended <- ended{o.n, d.host.Lead(ctx, r)} }() // awaited by serve, or the process ends
}
