package office

import (
	"errors"
	"os/exec"
	"time"

	"github.com/tacet-hub/tacet/broker/area"
	"github.com/tacet-hub/tacet/firmware/leader"
)

// The reign, as the device's end has it.

// begin begins the reign that waits, once the program is open and the one before is
// over.
func (p *program) begin() {
	if !p.open || p.next == nil || p.reign != nil || p.gone() {
		return
	}
	p.reigns++
	p.reign, p.next = p.next, nil
	p.reign.n = p.reigns
	r := p.reign
	p.unhear, _ = p.link.Documents(r.Document) // else the member has them over its own connection alone
	p.say(frame{Op: opLead, N: r.n, Peers: r.Peers.Encode(), Term: r.Term, At: r.At})
}

// answer ends the reign.
func (p *program) answer(err error) {
	if p.unhear != nil {
		p.unhear()
		p.unhear = nil
	}
	p.reign.end(err)
	p.reign, p.stopBy = nil, area.Never
}

// end has the program end.
func (p *program) end() {
	p.endBy = p.clock().Add(Patience)
	p.out.close()
}

// await waits for the end of the program; with a reason, or where it takes too long,
// it is killed.
func (p *program) await(why error) error {
	p.out.close()
	if why != nil {
		_ = p.cmd.Process.Kill() // it may have ended
	}
	err := p.drain()
	switch {
	case why != nil:
		return why
	case p.gone():
		return nil
	case err == nil:
		return errors.New("it has ended by itself")
	}
	if exit, ok := errors.AsType[*exec.ExitError](err); ok && exit.ExitCode() == ExitNoLeave {
		return ErrNoLeave
	}
	return err
}

// drain waits for the end of the program, which has time until its patience is over.
func (p *program) drain() error {
	late := time.AfterFunc(Patience, func() { _ = p.cmd.Process.Kill() }) // as above
	defer late.Stop()
	for range p.in { // what it says last is of no use
	}
	return <-p.over
}

// endOf is why the program says that a reign has ended.
func endOf(f frame) error {
	switch {
	case f.HubLeads:
		return leader.ErrHubLeads
	case f.Err != "":
		return errors.New(f.Err)
	}
	return nil
}

// frameOf is the other way round.
func frameOf(n uint64, err error) frame {
	f := frame{Op: opEnded, N: n, HubLeads: errors.Is(err, leader.ErrHubLeads)}
	if err != nil {
		f.Err = err.Error()
	}
	return f
}
