package arbiter

import (
	"slices"
	"time"

	"github.com/tacet-hub/tacet/broker/area"
)

// parted is a time in which the hub arbitrates an area whose silent leader may do so
// on its side. It is part of the mirror's record until it is over.
type parted struct {
	Leader area.DeviceID `json:"leader"`
	Term   uint64        `json:"term"`          // the leader's
	Own    uint64        `json:"own,omitempty"` // the hub's; 0: not known yet
	AtMs   int64         `json:"at_ms"`         // since 1970
	OverMs int64         `json:"over_ms,omitempty"`
}

func (p *parted) open() bool { return p != nil && p.OverMs == 0 }

// parts takes the area from a leader that is silent, and declares the split.
func (m *mirror) parts() {
	m.counts.Splits++
	m.split = &parted{Leader: m.leader, Term: m.term, AtMs: m.wall}
	m.over(newsSplit)
}

// ownSplit notes by which term the hub arbitrates in a split.
func (m *mirror) ownSplit() {
	if m.split.open() && m.split.Own == 0 && m.mine > m.split.Term {
		m.split.Own, m.kept.changed = m.mine, true
	}
}

// whole ends a split: a leader has the area by that term, or has heard that it may
// not.
func (m *mirror) whole(d area.DeviceID, term uint64) {
	if m.split.open() {
		over := *m.split
		over.OverMs = m.wall
		m.split, m.kept.changed = &over, true
		m.do(tell{newsWhole, d, term})
	}
}

// watch notes that the leader has fallen silent, and when it has been for too
// long.
func (m *mirror) watch() {
	if m.leader == "" {
		return
	}
	if !m.lost && m.now >= m.heard.Add(leaderSilent) {
		m.lost = true
		m.counts.Silent++
		m.do(severed{m.leader})
		m.do(tell{newsSilent, m.leader, m.term})
		m.works.linger(m)
	}
	if m.lost && m.shown.State != area.Settling && m.now >= m.heard.Add(m.alive) {
		m.show(m.shown, area.Settling) // what it showed has lapsed
	}
	if m.now >= m.overAt() {
		if m.gave {
			m.over(newsTaken)
			return
		}
		m.parts()
	}
}

// overAt is when the hub takes over from a silent leader.
func (m *mirror) overAt() area.Instant { return m.heard.Add(max(leaderGone, m.promise())) }

// promise is for how long what the leader granted may be alive after it was
// heard. In a strict area each answer is a vote as well (§8.10).
func (m *mirror) promise() time.Duration {
	if !m.cfg.strict {
		return m.alive
	}
	return max(secondLife, (m.alive+voteSlack)*bindPercent/100)
}

// next is when the next Tick is due; [area.Never] if none is.
func (m *mirror) next() area.Instant {
	next := m.kept.retryAt()
	if m.leader == "" {
		return next
	}
	next = min(next, m.overAt())
	switch {
	case !m.lost:
		next = min(next, m.heard.Add(leaderSilent))
	case m.shown.State != area.Settling:
		next = min(next, m.heard.Add(m.alive))
	}
	if m.live() {
		next = min(next, m.works.next())
	}
	return next
}

// over takes the area back: a core begins, and settles out what the leader may
// have granted. Works in the leader's hands stay there, unless it gave them back.
func (m *mirror) over(why news) {
	leader := m.leader
	m.leader, m.life, m.lost = "", "", false
	m.do(tell{why, leader, m.term})
	m.do(severed{leader})
	m.do(takeOver{floor: m.term})
	m.do(toCore{Begin{}})
	m.do(toCore{Inherit{Holds: append(leftOf(m.holds, m.now), leftOf(m.left, m.now)...), Settle: max(m.alive, m.yields.Sub(m.now), m.heard.Add(m.promise()).Sub(m.now))}})
	for _, d := range sortedUps(m.ups) {
		m.do(toCore{m.ups[d]})
	}
	m.holds, m.left = nil, nil
	if !m.gave {
		leader = "" // what was never sent alone
	}
	m.gave = false
	m.works.back(m, leader)
	m.kept.changed = true
}

func sortedUps(ups map[area.DeviceID]DeviceUp) []area.DeviceID {
	list := make([]area.DeviceID, 0, len(ups))
	for d := range ups {
		list = append(list, d)
	}
	slices.Sort(list)
	return list
}
