package arbiter

import (
	"encoding/json"
	"fmt"
	"maps"

	"github.com/tacet-hub/tacet/broker/area"
)

// wordVersion is the version that is written and read.
const wordVersion = 1

// word is what the nodes of a hub say to each other about one area. One of the parts
// below stands in it, or none: then it is a sign of life of the owner.
type word struct {
	Area  area.Name
	Life  string // of the sender's process
	Owner bool   // the sender has the area
	Term  uint64 // of its reign, or of the newest that it knows

	Join *join         // an outpost is there
	Say  *area.Trunk   // what a device says, a work, or what became of one: the words of the trunk
	Raw  *rawMessage   // a message of the outpost's broker
	Out  []posted      // what the owner's arbiter says, to be published in its order
	Cut  area.DeviceID // a device that seems to hear nothing
	Led  *ledDevices   // which devices of a leader are live
	Here *[]herePlayer // every device that is live at the sender, in the order of their ids

	Joined bool        // an answer to a join
	Lead   *area.Lead  // of the owner, beside it and at each change: who arbitrates the area
	Holds  []area.Hold // of the owner: what no lease ends
	Mirror *[]byte     // of the owner, beside a join's answer and at each change: see mirror.gist; empty: no device leads
}

// join says what an outpost shows: the owner sends the state where that is another.
type join struct {
	Term  uint64      `json:"term"`
	Rev   uint64      `json:"rev"`
	Holds []area.Hold `json:"holds,omitempty"` // of a reign of the outpost's that was not ended in order

	Played []area.Reported `json:"played,omitempty"` // works that were played, as the outpost has heard, and may be the only one to know
}

// rawMessage is a message as a broker had it.
type rawMessage struct {
	Topic   string        `json:"topic"`
	Payload []byte        `json:"payload"`
	Device  area.DeviceID `json:"device,omitempty"` // of a trunk: whose it is
}

// posted is a message on its way to every broker of the hub.
type posted struct {
	Topic   string `json:"topic"`
	Payload []byte `json:"payload,omitempty"`
	QoS     byte   `json:"qos,omitempty"`
	Retain  bool   `json:"retain,omitempty"`
	From    string `json:"from,omitempty"` // a bridge; empty: the arbiter
}

// ledDevices is what is known of the devices that are connected to a leader.
type ledDevices struct {
	Leader area.DeviceID   `json:"leader"`
	Lost   bool            `json:"lost,omitempty"` // it is silent: none of them is live
	Gone   area.DeviceID   `json:"gone,omitempty"` // this one is not live any more
	Reason string          `json:"reason,omitempty"`
	Serves []area.DeviceID `json:"serves,omitempty"` // else: these are
}

// herePlayer is a device that is live at a node.
type herePlayer struct {
	Device     area.DeviceID     `json:"device"`
	Name       string            `json:"name,omitempty"`
	Location   string            `json:"location,omitempty"`
	Via        area.Via          `json:"via,omitempty"`
	Boot       uint64            `json:"boot,omitempty"`
	MID        string            `json:"mid,omitempty"`
	Conn       uint64            `json:"conn,omitempty"`
	Told       bool              `json:"told,omitempty"`
	Link       string            `json:"link,omitempty"` // where all nodes call the connection the same
	Volume     *int              `json:"volume,omitempty"`
	Muted      bool              `json:"muted,omitempty"`
	Silent     bool              `json:"silent,omitempty"`
	Attributes map[string]string `json:"attributes,omitempty"`
}

func (p herePlayer) same(o herePlayer) bool {
	volume := p.Volume == nil && o.Volume == nil || p.Volume != nil && o.Volume != nil && *p.Volume == *o.Volume
	attributes := maps.Equal(p.Attributes, o.Attributes)
	p.Volume, o.Volume = nil, nil
	p.Attributes, o.Attributes = nil, nil
	return volume && attributes && p.equal(o)
}

func (p herePlayer) equal(o herePlayer) bool {
	return p.Device == o.Device && p.Name == o.Name && p.Location == o.Location && p.Via == o.Via && p.Boot == o.Boot && p.MID == o.MID && p.Conn == o.Conn &&
		p.Told == o.Told && p.Muted == o.Muted && p.Silent == o.Silent
}

// wireWord is a word on the wire.
type wireWord struct {
	V      int             `json:"v"`
	Area   area.Name       `json:"area"`
	Life   string          `json:"life"`
	Owner  bool            `json:"owner,omitempty"`
	Term   uint64          `json:"term"`
	Join   *join           `json:"join,omitempty"`
	Say    json.RawMessage `json:"say,omitempty"`
	Raw    *rawMessage     `json:"raw,omitempty"`
	Out    []posted        `json:"out,omitempty"`
	Cut    area.DeviceID   `json:"cut,omitempty"`
	Led    *ledDevices     `json:"led,omitempty"`
	Here   *[]herePlayer   `json:"here,omitempty"`
	Joined bool            `json:"joined,omitempty"`
	Lead   *area.Lead      `json:"lead,omitempty"`
	Holds  []area.Hold     `json:"holds,omitempty"`
	Mirror *[]byte         `json:"mirror,omitempty"`
}

func (w word) encode() []byte {
	x := wireWord{V: wordVersion, Area: w.Area, Life: w.Life, Owner: w.Owner, Term: w.Term, Join: w.Join, Raw: w.Raw, Out: w.Out, Cut: w.Cut, Led: w.Led, Here: w.Here, Joined: w.Joined, Lead: w.Lead, Holds: w.Holds, Mirror: w.Mirror}
	if w.Say != nil {
		t := *w.Say
		t.Life = w.Life
		x.Say = t.Encode()
	}
	b, err := json.Marshal(x)
	if err != nil {
		panic("arbiter: a word of our own types does not encode: " + err.Error())
	}
	return b
}

// parseWord reads a word. Nodes of a hub trust each other: what is checked is what
// could not be stored or said on.
func parseWord(b []byte) (word, error) {
	var x wireWord
	if err := json.Unmarshal(b, &x); err != nil {
		return word{}, fmt.Errorf("arbiter: read the word of a node: %w", err)
	}
	if x.V != wordVersion || !area.IsID(string(x.Area)) || x.Life == "" || x.Term > area.MaxCounter {
		return word{}, fmt.Errorf("arbiter: the word of a node has version %d, area %q, term %d", x.V, x.Area, x.Term)
	}
	w := word{Area: x.Area, Life: x.Life, Owner: x.Owner, Term: x.Term, Join: x.Join, Raw: x.Raw, Out: x.Out, Cut: x.Cut, Led: x.Led, Here: x.Here, Joined: x.Joined, Lead: x.Lead, Holds: x.Holds, Mirror: x.Mirror}
	if x.Say != nil {
		t, err := area.ParseTrunk(x.Say)
		if err != nil {
			return word{}, err
		}
		if t.Area != x.Area {
			return word{}, fmt.Errorf("arbiter: the word of a node about area %s is about %s", x.Area, t.Area)
		}
		w.Say = &t
	}
	return w, nil
}
