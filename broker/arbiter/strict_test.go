package arbiter

import (
	"testing"
	"time"

	"github.com/tacet-hub/tacet/broker/area"
)

// strict is a stand of a strict area whose voters are v1, v2 …; seat: it is the
// hub's.
func strict(t *testing.T, seat bool, voters ...string) *stand {
	t.Helper()
	d := newStand(t, "", func(c *CoreConfig) { c.ColdStart, c.Strict, c.Seat = true, true, seat })
	d.elect(voters...)
	return d
}

func (d *stand) elect(voters ...string) {
	list := []Voter{}
	for _, v := range voters {
		list = append(list, Voter{Device: area.DeviceID(v), MID: "m-" + v})
	}
	d.step(Electorate{Voters: list})
}

// vote answers the newest poll.
func (d *stand) vote(who, want string) {
	d.t.Helper()
	d.want(d.ballot(who), want)
}

func (d *stand) ballot(who string) Voted {
	return Voted{Device: area.DeviceID(who), Vote: area.Vote{Arbiter: "hub-1", Term: d.c.term, N: d.c.votes.n, MID: "m-" + who}}
}

// §8.10: without a majority nothing is granted, and no lease ends after the
// weakest vote of it. V is lease, guard and 4 s: here 8.25 s, of which 99 % count.
func TestStrictNeedsAMajority(t *testing.T) {
	d := strict(t, false, "v1", "v2")
	d.want(Begin{}, "busy(settling) poll(1,8.25s)")
	d.hear("a", want, "a<queued(0) busy(settling,a)")
	d.vote("v1", "") // one of three
	d.now += sec
	d.hear("a", want, "a<queued(0) poll(2,8.25s)")
	d.vote("v2", "busy(held:a) a<grant(1000001,2.5s)")
	d.hear("a", playing(1000001), "a<grant(1000001,4s)")
	// The weakest vote of the majority is v1's, of the first poll: it ends at
	// 8.1675 s. Nobody votes any more.
	d.now += 3 * sec
	d.hear("a", playing(1000001), "a<grant(1000001,3.9175s) poll(3,8.25s)")
	d.now += 3 * sec
	d.hear("a", playing(1000001), "a<grant(1000001,917.5ms) poll(4,8.25s)")
	d.now += sec
	d.hear("a", playing(1000001), "a<queued(1) poll(5,8.25s)")
	d.hear("b", want, "b<queued(1) busy(held:a,b)")
	d.at(8167*time.Millisecond, "")
	d.at(8168*time.Millisecond, "busy(settling,b)") // the lease, and with it the majority
	d.hear("b", want, "b<queued(0)")
	if c := d.c.Counts(); c.Unbacked != 1 || c.LeaseExpired != 1 {
		t.Errorf("counts %+v", c)
	}
	if d.c.Busy().Flag() != "1" {
		t.Error("the flag does not keep dumb devices silent")
	}
}

func TestStrictSeats(t *testing.T) {
	d := strict(t, true) // nobody but the hub
	d.want(Begin{}, "busy(idle)")
	d.hear("a", want, "busy(held:a) a<grant(1000001,2.5s)")

	d = strict(t, true, "v1", "v2", "v3") // two of four are no majority, three are
	d.want(Begin{}, "busy(settling) poll(1,8.25s)")
	d.hear("a", want, "a<queued(0) busy(settling,a)")
	d.vote("v1", "")
	d.vote("v1", "") // once more is no more
	d.vote("v2", "busy(held:a) a<grant(1000001,2.5s)")

	d = strict(t, false, "v1") // two devices, one of them dead: the hub's word makes the majority
	d.want(Begin{}, "busy(settling) poll(1,8.25s)")
	d.hear("a", want, "a<queued(0) busy(settling,a)")
	d.vote("v1", "")
	d.want(Seconded{Said: d.now, Since: 30 * time.Second}, "") // it may have promised itself to another
	d.want(Seconded{Said: d.now, Since: 31 * time.Second}, "busy(held:a) a<grant(1000001,2.5s)")

	d = strict(t, false) // a leader of nobody
	d.want(Begin{}, "busy(settling)")
	d.hear("a", want, "a<queued(0) busy(settling,a)")
}

func TestVotesThatDoNotCount(t *testing.T) {
	for name, change := range map[string]func(*Voted){
		"of a stranger":        func(v *Voted) { v.Device = "x" },
		"of another machine":   func(v *Voted) { v.Vote.MID = "m-x" },
		"for another arbiter":  func(v *Voted) { v.Vote.Arbiter = "hub-2" },
		"of an earlier reign":  func(v *Voted) { v.Vote.Term-- },
		"of no poll":           func(v *Voted) { v.Vote.N++ },
		"of a forgotten poll":  func(v *Voted) { v.Vote.N += mostPolls },
		"of the poll before 1": func(v *Voted) { v.Vote.N = 0 },
	} {
		t.Run(name, func(t *testing.T) {
			d := strict(t, true, "v1", "v2")
			d.want(Begin{}, "busy(settling) poll(1,8.25s)")
			v := d.ballot("v1")
			change(&v)
			d.want(v, "")
			d.vote("v1", "busy(idle)")
		})
	}
}

// A vote counts from when its poll was sent, however late it comes.
func TestLateVote(t *testing.T) {
	d := strict(t, true, "v1", "v2")
	d.want(Begin{}, "busy(settling) poll(1,8.25s)")
	late := d.ballot("v1")
	d.now += 5 * sec
	d.want(late, "busy(idle) poll(2,8.25s)")
	d.hear("a", want, "busy(held:a) a<grant(1000001,2.5s)")
	d.now += sec
	d.hear("a", playing(1000001), "a<grant(1000001,1.9175s) poll(3,8.25s)")
	d.hear("a", done, "a<released busy(idle)")
	d.hear("b", want, "b<queued(1) busy(idle,b)") // a first lease would outlive the vote
}

func TestElectorateChanges(t *testing.T) {
	d := strict(t, true, "v1", "v2")
	d.want(Begin{}, "busy(settling) poll(1,8.25s)")
	d.vote("v1", "busy(idle)")
	d.elect("v1", "v2", "v3", "v4")
	if got := d.c.Busy().State; got != area.Settling {
		t.Errorf("two of five are a majority: %s", got)
	}
	d.vote("v3", "busy(idle)")
	d.elect("v1", "v2")
	d.elect("v2", "v3")
	if got := d.c.Busy().State; got != area.Settling {
		t.Errorf("the vote of who has left counts: %s", got)
	}
}

// While nobody knows who votes nobody has a majority, whatever was voted before.
func TestElectorateThatIsNotKnown(t *testing.T) {
	d := strict(t, true, "v1", "v2")
	d.want(Begin{}, "busy(settling) poll(1,8.25s)")
	d.vote("v1", "busy(idle)")
	d.step(Electorate{Unknown: true})
	if got := d.c.Busy().State; got != area.Settling {
		t.Errorf("it is %s", got)
	}
	d.elect("v1", "v2")
	if got := d.c.Busy().State; got != area.Idle {
		t.Errorf("known again it is %s", got)
	}
}

// Who plays under another arbiter is adopted without a majority, and not given
// more time than it has.
func TestStrictAdopts(t *testing.T) {
	d := newStand(t, `{"v":1,"term":1,"alive_ms":4250}`, func(c *CoreConfig) { c.Strict = true })
	d.elect("v1", "v2")
	d.want(Begin{}, "busy(settling) poll(1,8.25s)")
	d.hear("a", playing(1000005), "busy(held:a) a<queued(1)")
	d.at(4249*time.Millisecond, "poll(2,8.25s)")
	d.at(4250*time.Millisecond, "busy(settling)")
}

func TestStrictHolds(t *testing.T) {
	d := strict(t, true, "v1", "v2")
	d.want(Begin{}, "busy(settling) poll(1,8.25s)")
	d.classicWant(want, "k<queued(0) busy(settling,k)")
	d.vote("v1", "busy(idle) busy(held:k) k<grant(1000001,0s)")
}

// A term that may be lost is not told, and a core that has closed asks no more.
func TestPollsWaitForTheTerm(t *testing.T) {
	d := strict(t, true, "v1", "v2")
	d.slow = true
	d.want(Begin{}, "")
	if got := d.commit(nil); got != "busy(settling) poll(1,8.25s)" {
		t.Errorf("once the term is durable: %q", got)
	}
	d.now += sec
	if next := d.c.Next(); next != d.now {
		t.Errorf("the next poll is at %v, want now", next)
	}
	d.slow = false
	d.want(Tick{}, "poll(2,8.25s)")
	d.want(Close{}, "")
	d.now += 9 * sec
	d.want(Tick{}, "")
}

// Under finish a vote has to outlive the longest lease.
func TestStrictFinish(t *testing.T) {
	d := newStand(t, "", func(c *CoreConfig) { c.ColdStart, c.Strict, c.Seat, c.Finish = true, true, true, true })
	d.elect("v1", "v2")
	d.want(Begin{}, "busy(settling) poll(1,2m4.25s)")
	d.vote("v1", "busy(idle)")
	d.hear("a", area.Claim{Dur: 20 * time.Second}, "a<queued(1) busy(idle) busy(held:a) a<grant(1000001,22.2s)")
	d.hear("a", area.Claim{Dur: 20 * time.Second, Playing: true, Token: 1000001}, "a<grant(1000001,22.2s)")
}

// What a device has from another arbiter is not this one's to say again: without a
// majority it gets nothing, however often it asks.
func TestStrictLendsNoLeaseOfAnother(t *testing.T) {
	d := newStand(t, `{"v":1,"term":1,"alive_ms":4250}`, func(c *CoreConfig) { c.Strict = true })
	d.elect("v1", "v2")
	d.want(Begin{}, "busy(settling) poll(1,8.25s)")
	d.hear("a", playing(1000005), "busy(held:a) a<queued(1)")
	d.now += sec / 2
	d.hear("a", playing(1000005), "a<queued(1)")
	d.vote("v1", "")
	d.vote("v2", "busy(held:a)")
	d.hear("a", playing(1000005), "a<grant(1000005,4s)")
}
