package office

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net/netip"

	"github.com/tacet-hub/tacet/broker/area"
)

// The bounds of frames and of what waits to be written.
const (
	MostFrame  = 512 << 10 // bytes of a frame: a trunk message in base64 fits twice
	MostFrames = 4096      // that wait
	MostBytes  = 8 << 20   // of those that wait
)

// What a frame says. Those of both directions have one meaning each.
const (
	opOpen    = "open"    // device: release, setup. Program: release; it is open
	opFailed  = "failed"  // program: err; it is not
	opAsk     = "ask"     // program: n, told. May it go on?
	opLeave   = "leave"   // device: n; it may
	opUp      = "up"      // device: up; whether the connection to the hub stands
	opTrunk   = "trunk"   // trunk; device: the hub says it, program: say it to the hub
	opWant    = "want"    // program: why, wanted
	opLead    = "lead"    // device: n, peers, term, at; begin a reign
	opChanged = "changed" // device: n, peers
	opRival   = "rival"   // device: n, term
	opStop    = "stop"    // device: n; end it
	opReady   = "ready"   // program: n, addr, web, term
	opHeard   = "heard"   // program: n, term
	opEnded   = "ended"   // program: n, err, hub_leads; nothing of it runs any more
)

// frame is one message between the device and its program.
type frame struct {
	Op       string          `json:"op"`
	N        uint64          `json:"n,omitempty"` // of the reign; of ask and leave, of the question
	Release  string          `json:"release,omitempty"`
	Setup    *Setup          `json:"setup,omitempty"`
	Told     *Told           `json:"told,omitempty"`
	Up       bool            `json:"up,omitempty"`
	Trunk    json.RawMessage `json:"trunk,omitempty"`
	Why      string          `json:"why,omitempty"`
	Wanted   bool            `json:"wanted,omitempty"`
	Peers    json.RawMessage `json:"peers,omitempty"`
	Term     uint64          `json:"term,omitempty"`
	At       netip.Addr      `json:"at,omitzero"`
	Addr     string          `json:"addr,omitempty"`
	Web      string          `json:"web,omitempty"`
	Err      string          `json:"err,omitempty"`
	HubLeads bool            `json:"hub_leads,omitempty"`
}

func (f frame) encode() []byte {
	b, err := json.Marshal(f)
	if err != nil {
		panic("office: " + err.Error()) // its raw parts are our own encoders'
	}
	return append(b, '\n')
}

// parse reads one frame and what is in it. A frame of an op that it does not know
// is an error: both ends are of one release.
func parse(line []byte) (f frame, t area.Trunk, p area.Peers, err error) {
	if err = json.Unmarshal(line, &f); err != nil {
		return f, t, p, fmt.Errorf("frame: %w", err)
	}
	switch f.Op {
	case opOpen, opFailed, opAsk, opLeave, opUp, opWant, opRival, opStop, opReady, opHeard, opEnded:
	case opTrunk:
		t, err = area.ParseTrunk(f.Trunk)
	case opLead, opChanged:
		p, err = area.ParsePeers(f.Peers)
	default:
		err = fmt.Errorf("frame: op %.20q is not known", f.Op)
	}
	return f, t, p, err
}

// item is a frame with what is in it.
type item struct {
	frame
	trunk area.Trunk
	peers area.Peers
}

// read hands on each frame of r, until it ends, one is damaged, or take answers
// false. Its error is nil at the end of r.
func read(r io.Reader, take func(item) bool) error {
	lines := bufio.NewScanner(r)
	lines.Buffer(make([]byte, 4<<10), MostFrame)
	for lines.Scan() {
		f, t, p, err := parse(lines.Bytes())
		if err != nil {
			return err
		}
		if !take(item{f, t, p}) {
			return nil
		}
	}
	return lines.Err()
}
