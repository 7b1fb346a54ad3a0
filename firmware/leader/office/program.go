package office

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"sync"
	"time"

	"github.com/tacet-hub/tacet/broker/area"
)

// Why a program has ended.
var (
	errSilent = errors.New("it asked for no leave for 3 s")
	errStuck  = errors.New("it did not take what it was told")
	errSlow   = errors.New("its reign did not end")
	errLate   = errors.New("it did not open what it keeps")
)

// program is one run of the program. It belongs to Run's goroutine; out is safe for
// concurrent use.
type program struct {
	*Office
	cmd   *exec.Cmd
	out   *queue
	in    chan item     // what it says
	over  chan error    // how it has ended; holds one
	stuck chan struct{} // holds one

	open   bool
	asked  area.Instant // when it asked for leave last, or was started
	wants  map[string]bool
	reign  *request     // nil: none
	next   *request     // to begin once it is open
	stopBy area.Instant // the reign has ended by then
	endBy  area.Instant // and the program
	idle   int          // times that it neither led nor owed anything
	unhear func()       // ends the documents of the reign; nil: none
}

// gone tells whether it was told to end.
func (p *program) gone() bool { return p.endBy != area.Never }

// serve runs the program for a reign, and until nothing is owed. Its error is why it
// could not be run, or ended by itself.
func (o *Office) serve(ctx context.Context, r *request) error {
	p := &program{Office: o, out: newQueue(), in: make(chan item), over: make(chan error, 1), stuck: make(chan struct{}, 1), wants: map[string]bool{}, next: r,
		stopBy: area.Never, endBy: area.Never, asked: o.clock()}
	var work sync.WaitGroup
	defer work.Wait()
	if err := p.start(&work); err != nil {
		err = fmt.Errorf("%w: %w", ErrNotRun, err)
		r.end(err)
		return err
	}
	o.count.starts.Add(1)
	o.pid.Store(int64(p.cmd.Process.Pid))
	p.out.put(frame{Op: opOpen, Release: o.cfg.Release, Setup: &o.cfg.Setup})
	defer o.told.Store(nil)
	defer p.hear()()
	err := p.own(ctx)
	for why := range p.wants {
		o.link.Want(why, false)
	}
	if err != nil {
		o.count.died.Add(1)
		o.log.Error("the leader's program has ended", "err", err)
	}
	p.answer(err)
	p.next.end(err)
	return err
}

// start starts the program, and what reads and writes. The goroutine that starts it
// has its thread for itself until the program has ended: bind.
func (p *program) start(work *sync.WaitGroup) error {
	var ends [6]*os.File // in, out and log, each to be read and to be written
	for i := 0; i < len(ends); i += 2 {
		var err error
		if ends[i], ends[i+1], err = os.Pipe(); err != nil {
			closeAll(ends[:])
			return err
		}
	}
	p.cmd = exec.Command(p.path, "lead")
	p.cmd.Stdin, p.cmd.Stdout, p.cmd.Stderr = ends[0], ends[3], ends[5]
	bind(p.cmd)
	started := make(chan error, 1)
	work.Go(func() {
		runtime.LockOSThread() // and never unlocks it: the thread ends too
		err := p.cmd.Start()
		closeAll([]*os.File{ends[0], ends[3], ends[5]})
		started <- err
		if err == nil {
			p.over <- p.cmd.Wait()
		}
	})
	if err := <-started; err != nil {
		closeAll([]*os.File{ends[1], ends[2], ends[4]})
		return err
	}
	work.Go(func() { _ = p.out.write(ends[1]) }) // that it is gone is heard otherwise
	work.Go(func() {
		defer ends[4].Close()
		relay(ends[4], p.log)
	})
	work.Go(func() {
		defer ends[2].Close()
		defer close(p.in)
		if err := read(ends[2], func(i item) bool { p.in <- i; return true }); err != nil {
			p.log.Error("the leader's program cannot be understood", "err", err)
		}
	})
	return nil
}

func closeAll(files []*os.File) {
	for _, f := range files {
		if f != nil {
			_ = f.Close() // nothing was written to it
		}
	}
}

// hear hands on what the hub says, in its order.
func (p *program) hear() (cancel func()) {
	var mu sync.Mutex // what the connection is and what is said of it go together
	up := func(bool) {
		mu.Lock()
		defer mu.Unlock()
		p.say(frame{Op: opUp, Up: p.link.Up()})
	}
	cancel = p.link.Watch(func(t area.Trunk) { p.say(frame{Op: opTrunk, Trunk: t.Encode()}) }, up)
	up(true)
	return cancel
}

// say says something to the program, which has to take it.
func (p *program) say(f frame) {
	if p.out.put(f) {
		return
	}
	select {
	case p.stuck <- struct{}{}:
	default:
	}
}

// own owns the program until it has ended. Its error is why nobody asked for that.
func (p *program) own(ctx context.Context) error {
	look := time.NewTicker(Ask)
	defer look.Stop()
	stop := ctx.Done()
	for {
		var requests <-chan *request
		if !p.gone() { // else the next program takes it
			requests = p.requests
		}
		var stopped <-chan struct{}
		var changed <-chan area.Peers
		var rivals <-chan uint64
		if p.reign != nil {
			changed, rivals = p.reign.Changed, p.reign.Rivals
			if p.stopBy == area.Never {
				stopped = p.reign.ctx.Done()
			}
		}
		select {
		case i, ok := <-p.in:
			if !ok {
				return p.await(nil)
			}
			if err := p.heard(i); err != nil {
				return p.await(err)
			}
		case r := <-requests:
			p.next = r
			p.begin()
		case peers := <-changed:
			p.say(frame{Op: opChanged, N: p.reign.n, Peers: peers.Encode()})
		case term := <-rivals:
			p.say(frame{Op: opRival, N: p.reign.n, Term: term})
		case <-stopped:
			p.stopBy = p.clock().Add(stopTime)
			p.say(frame{Op: opStop, N: p.reign.n})
		case <-p.stuck:
			p.count.stuck.Add(1)
			return p.await(errStuck)
		case <-look.C:
			if err := p.overdue(); err != nil {
				return p.await(err)
			}
		case <-stop:
			stop = nil
			p.end()
		}
	}
}

// overdue tells what the program should have done by now.
func (p *program) overdue() error {
	now := p.clock()
	switch {
	case !p.open && now.Sub(p.asked) > openTime:
		return errLate
	case p.open && now.Sub(p.asked) > Patience:
		p.count.silent.Add(1)
		return errSilent
	case now > p.stopBy, now > p.endBy:
		return errSlow
	}
	return nil
}

// heard takes in what the program says.
func (p *program) heard(i item) error {
	switch i.Op {
	case opOpen:
		if i.Release != p.cfg.Release {
			return fmt.Errorf("%w: it is %.60s, not %s", ErrRelease, i.Release, p.cfg.Release)
		}
		p.open, p.asked = true, p.clock()
		p.begin()
	case opFailed:
		if i.Release != p.cfg.Release {
			return fmt.Errorf("%w: it is %.60s, not %s", ErrRelease, i.Release, p.cfg.Release)
		}
		return errors.New(i.Err)
	case opAsk:
		p.asked = p.clock()
		p.say(frame{Op: opLeave, N: i.N})
		p.told.Store(i.Told)
		p.rest(i.Told)
	case opWant:
		p.wants[i.Why] = i.Wanted
		p.link.Want(i.Why, i.Wanted)
	case opTrunk:
		if err := p.link.Send(i.trunk); err != nil {
			p.count.refused.Add(1)
			p.log.Debug("not said to the hub", "rule", i.trunk.Op, "err", err)
		}
	case opReady, opHeard, opEnded:
		p.heardReign(i)
	}
	return nil
}

// rest has the program end where it was idle twice: what it says of itself may be
// from before the end of a reign.
func (p *program) rest(t *Told) {
	if t == nil || t.Owes || p.reign != nil || p.next != nil {
		p.idle = 0
	} else if p.idle++; p.idle == 2 {
		p.end()
	}
}

// heardReign takes in what is said of the reign.
func (p *program) heardReign(i item) {
	switch {
	case p.reign == nil || i.N != p.reign.n: // of one that is over
	case i.Op == opReady:
		p.reign.Ready(i.Addr, i.Web, i.Term)
	case i.Op == opHeard:
		p.reign.Heard(i.Term)
	default:
		p.answer(endOf(i.frame))
	}
}
