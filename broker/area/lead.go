package area

import "slices"

// Lead says who arbitrates an area, as far as the hub knows.
type Lead struct {
	Mode  string `json:"mode"` // LeaderHub or LeaderLocal
	Host  string `json:"host"` // name of the hub, or id of the device
	Addr  string `json:"addr"` // where its broker listens; empty: not told
	Web   string `json:"web"`  // scheme and port of its web listener, as in [Leader]; empty: none
	Term  uint64 `json:"term"`
	Since *Time  `json:"since"` // it does; nil: not known
	Live  bool   `json:"live"`  // it is heard
	Owes  int    `json:"owes"`  // what a device has yet to tell the hub: ends of orders, and records of what sounded
	Split *Split `json:"split"` // the newest that is known of; nil: there was none
	Alone *Time  `json:"alone"` // since when this hub node grants to its own devices, its ledger being away; nil: it does not
}

// Split is a time in which the hub arbitrated an area while its silent leader may
// have done so as well.
type Split struct {
	At     Time     `json:"at"`
	Over   *Time    `json:"over"` // nil: not yet
	Leader DeviceID `json:"leader"`
	Term   uint64   `json:"term"` // the leader's
	Own    uint64   `json:"own"`  // the hub's; 0: not known yet
}

// Same tells whether two leads say the same.
func (l Lead) Same(o Lead) bool {
	x, y := l, o
	x.Since, y.Since, x.Alone, y.Alone, x.Split, y.Split = nil, nil, nil, nil, nil, nil
	return x == y && sameTime(l.Since, o.Since) && sameTime(l.Alone, o.Alone) && (l.Split == nil) == (o.Split == nil) && (l.Split == nil || l.Split.same(*o.Split))
}

func (s Split) same(o Split) bool {
	x, y := s, o
	x.At, x.Over, y.At, y.Over = Time{}, nil, Time{}, nil
	return x == y && s.At.Equal(o.At.Time) && sameTime(s.Over, o.Over)
}

func sameTime(a, b *Time) bool {
	if a == nil || b == nil {
		return a == b
	}
	return a.Equal(b.Time)
}

// Peering is how the devices of an area that may lead it stand to each other, as
// they told last.
type Peering struct {
	Rev     uint64       `json:"rev"` // of the roster document; 0: there is none
	Members []PeerMember `json:"members"`
}

// PeerMember is one of them. What it has not told since the hub was started is
// empty, and Told is false.
type PeerMember struct {
	Device   DeviceID `json:"device"`
	Index    uint64   `json:"index"`
	Priority int      `json:"priority"`
	Addr     string   `json:"addr"` // of its membership
	Told     bool     `json:"told"`
	Rev      uint64   `json:"rev"`     // of the roster document that it has
	Leads    bool     `json:"leads"`   // by its own word, while it is live
	Follows  string   `json:"follows"` // what it turns to: "hub", "via" (the hub, carried by who) or "leader" (who)
	Who      DeviceID `json:"who"`
	Hub      bool     `json:"hub"`     // it reaches the hub, itself or through another member
	Carried  uint64   `json:"carried"` // connections of others to the hub that it has carried since it was started
}

// Same tells whether two peerings say the same.
func (p Peering) Same(o Peering) bool { return p.Rev == o.Rev && slices.Equal(p.Members, o.Members) }
