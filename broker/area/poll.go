package area

import "time"

// Poll asks the voters of a strict area whether its sender may arbitrate, on
// [PollTopic] (COORDINATION.md §8.10). A vote for it is a lease from the voter to
// the arbiter.
type Poll struct {
	Area    Name
	Arbiter string // who asks
	Term    uint64
	N       uint64        // number of the poll; new ones have higher numbers in one term
	Vote    time.Duration // how long a vote counts, less 1 %, from when the poll was sent
}

// Vote is a voter's answer, on [VoteTopic]: it stands by this arbiter, and by
// nobody else, for the time of the poll and 2 %, from when it heard the poll. The
// topic names the voter.
type Vote struct {
	Arbiter string // of the poll; as Term and N
	Term    uint64
	N       uint64
	MID     string // machine id of the voter
}

type pollWire struct {
	V       int    `json:"v"`
	Area    Name   `json:"area"`
	Arbiter string `json:"arbiter"`
	Term    int64  `json:"term"`
	N       int64  `json:"n"`
	VoteMs  int64  `json:"vote_ms"`
}

type voteWire struct {
	V       int    `json:"v"`
	Arbiter string `json:"arbiter"`
	Term    int64  `json:"term"`
	N       int64  `json:"n"`
	MID     string `json:"mid"`
}

// Encode writes p.
func (p Poll) Encode() []byte {
	return encode(pollWire{V: 1, Area: p.Area, Arbiter: p.Arbiter, Term: int64(p.Term), N: int64(p.N), VoteMs: milliseconds(p.Vote)})
}

// Encode writes v.
func (v Vote) Encode() []byte {
	return encode(voteWire{V: 1, Arbiter: v.Arbiter, Term: int64(v.Term), N: int64(v.N), MID: v.MID})
}

// ParsePoll reads a poll. Its error is an [Error].
func ParsePoll(b []byte) (Poll, error) {
	const what = "poll"
	var w pollWire
	if err := decodeLoose(what, b, MaxControl, &w); err != nil {
		return Poll{}, err
	}
	p := Poll{Area: w.Area, Arbiter: w.Arbiter}
	var err error
	if p.Term, p.N, err = pollNumbers(what, w.Arbiter, w.Term, w.N); err != nil {
		return Poll{}, err
	}
	if p.Vote, err = duration(what, "vote_ms", w.VoteMs); err != nil {
		return Poll{}, err
	}
	if !IsID(string(p.Area)) {
		return Poll{}, Errorf(CodeInvalid, "%s: area %s is no id", what, quote(string(p.Area)))
	}
	return p, nil
}

// ParseVote reads a vote. Its error is an [Error].
func ParseVote(b []byte) (Vote, error) {
	const what = "vote"
	var w voteWire
	if err := decodeLoose(what, b, MaxControl, &w); err != nil {
		return Vote{}, err
	}
	v := Vote{Arbiter: w.Arbiter, MID: w.MID}
	var err error
	if v.Term, v.N, err = pollNumbers(what, w.Arbiter, w.Term, w.N); err != nil {
		return Vote{}, err
	}
	return v, shortText(what, "mid", v.MID)
}

func pollNumbers(what, arbiter string, term, n int64) (t, number uint64, err error) {
	if arbiter == "" {
		return 0, 0, Errorf(CodeInvalid, "%s: names no arbiter", what)
	}
	if err = shortText(what, "arbiter", arbiter); err != nil {
		return 0, 0, err
	}
	if t, err = counter(what, "term", term); err != nil {
		return 0, 0, err
	}
	number, err = counter(what, "n", n)
	return t, number, err
}
