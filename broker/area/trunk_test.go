package area

import (
	"encoding/json"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

func somePeers() Peers {
	return Peers{
		V: 1, Rev: 12, Area: "north", Name: "North Wing", Hub: "hub-1", Topology: TopologyLocal, Mode: ModeAvailable, LeaseMs: 6000, Policy: PolicyStop,
		ClassicHoldMs: 120000, DumbHoldMs: 30000, Volume: 70, Locations: []PeerPlace{{ID: "1", Name: "Gate 1"}}, Key: make([]byte, AreaKeySize),
		Members:     []Member{{Device: "gate-1", MID: "9f", Index: 16, Addr: "10.0.0.5:7946"}, {Device: "gate-2", Index: 17, Priority: -3}},
		Credentials: []Credential{{Name: "gate-1", Hash: "$argon2id$v=19$x"}},
		People:      []Person{{Name: "ann", Kind: PersonUser, Hash: "$argon2id$v=19$y", Role: "operator", Everywhere: true}, {Name: "ci", Kind: PersonToken, Hash: "ab", Role: "announcer", ExpiresMs: 9}},
	}
}

func TestPeersOnTheWire(t *testing.T) {
	want := somePeers()
	if got, err := ParsePeers(want.Encode()); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("read back %+v %v, want %+v", got, err, want)
	}
	if m, ok := want.Member("gate-2"); !ok || m.Index != 17 {
		t.Errorf("gate-2 is %+v %v", m, ok)
	}
	if b := string(Peers{}.Encode()); !strings.Contains(b, `"members":[],"credentials":[]`) {
		t.Errorf("empty lists: %s", b)
	}
}

func TestPeersRefused(t *testing.T) {
	cases := map[string]func(*Peers){
		"no revision": func(p *Peers) { p.Rev = 0 }, "no area": func(p *Peers) { p.Area = "a b" }, "no hub": func(p *Peers) { p.Hub = "" },
		"topology that is not resolved": func(p *Peers) { p.Topology = TopologyAuto }, "mode": func(p *Peers) { p.Mode = "" }, "policy": func(p *Peers) { p.Policy = "go" },
		"index of a member": func(p *Peers) { p.HubIndex = 16 }, "short key": func(p *Peers) { p.Key = p.Key[1:] }, "lease": func(p *Peers) { p.LeaseMs = 10 },
		"index of a hub": func(p *Peers) { p.Members[0].Index = 3 }, "index twice": func(p *Peers) { p.Members[1].Index = 16 },
		"device twice": func(p *Peers) { p.Members[1].Device = "gate-1" }, "address": func(p *Peers) { p.Members[0].Addr = "here" }, "clips": func(p *Peers) { p.Members[0].Clips = "10.0.0.5" },
		"web": func(p *Peers) { p.Web = "hub:8080" }, "no hash": func(p *Peers) { p.Credentials[0].Hash = "" }, "location": func(p *Peers) { p.Locations[0].ID = "" }, "volume": func(p *Peers) { p.Volume = 101 },
		"kind of a person": func(p *Peers) { p.People[0].Kind = "god" }, "no hash of a person": func(p *Peers) { p.People[1].Hash = "" }, "people": func(p *Peers) { p.People = make([]Person, MostPeople+1) },
		"expiry":   func(p *Peers) { p.People[1].ExpiresMs = -1 },
		"too many": func(p *Peers) { p.Members = make([]Member, MostMembers+1) },
	}
	for name, spoil := range cases {
		p := somePeers()
		spoil(&p)
		if got, err := ParsePeers(p.Encode()); CodeOf(err) != CodeInvalid || got.Area != "" {
			t.Errorf("%s: got %v, want invalid", name, err)
		}
	}
	if _, err := ParsePeers(make([]byte, MaxPeers+1)); CodeOf(err) != CodeTooLarge {
		t.Errorf("too large: %v", err)
	}
}

func TestStatusOfAMember(t *testing.T) {
	good := `{"online":true,"peers":{"rev":12,"addr":"10.0.0.5:7946","net":"10.0.0.0/24"}}`
	if s, err := ParseStatus([]byte(good)); err != nil || s.Peers == nil || *s.Peers != (Peer{Rev: 12, Addr: "10.0.0.5:7946", Net: "10.0.0.0/24"}) {
		t.Errorf("got %+v %v", s.Peers, err)
	}
	for _, bad := range []string{`{"addr":"x"}`, `{"clips":"x"}`, `{"net":"10.0.0.0"}`, `{"rev":9007199254740993}`, `{"priority":101}`} {
		if _, err := ParseStatus([]byte(`{"online":true,"peers":` + bad + `}`)); CodeOf(err) != CodeInvalid {
			t.Errorf("%s: %v, want invalid", bad, err)
		}
	}
}

// everyTrunk has one message of each op, with all that may stand in it.
func everyTrunk() []Trunk {
	claim := Claim{Op: OpWant, Boot: 4, MID: "m", Claim: 2, Seq: 9, Prio: Normal, Dur: time.Second}
	done := Claim{Op: OpDone, Boot: 4, MID: "m", Claim: 2, Seq: 10, Token: 64000001, Result: Played, Prio: Normal}
	busy := IdleBusy("north", 80, 3, 6*time.Second)
	poll, vote := Poll{Area: "north", Arbiter: "gate-1", Term: 80, N: 3, Vote: 10 * time.Second}, Vote{Arbiter: "gate-1", Term: 80, N: 3, MID: "m"}
	hold := Hold{Kind: "classic", Device: "old-1", Claim: 3, Token: 64000001, Prio: Normal, LeftMs: 4000}
	handed := Handed{Work: "o-1", Location: "1", Prio: Normal, DurMs: 5000, TTLMs: 60000, Redo: RedoRetry, IfBusy: BusyQueue, Body: Body{Kind: "announce"}, Att: 1, Given: &Assignment{Device: "gate-1", MID: "m", Boot: 4}}
	list := []Trunk{
		{Op: TrunkLead, SettleMs: 4000, AliveMs: 6250, Addr: "10.0.0.5:1883", Web: "http://:8080", Serves: []DeviceID{"gate-1"}, Holds: []Hold{hold}, Owes: 3},
		{Op: TrunkResign}, {Op: TrunkAsk}, {Op: TrunkBusy, Busy: &busy},
		{Op: TrunkSay, Device: "web-1", Answer: &Answer{Op: OpGrant, Boot: 4, Claim: 2, Ack: 9, Token: 80000001, Lease: time.Second}},
		{Op: TrunkOffer, Offer: &Offer{Work: "o-1", Att: 1, Dur: time.Second, Prio: Normal, TTL: time.Minute}},
		{Op: TrunkGone, Device: "gate-1", Reason: PresentWill}, {Op: TrunkPoll, Poll: &poll}, {Op: TrunkVote, Device: "gate-2", Vote: &vote},
		{Op: TrunkStatus, Device: "gate-1", Status: &Status{V: 1, Online: true, Area: "north"}}, {Op: TrunkDone, Device: "gate-1", Claim: &done},
		{Op: TrunkReport, N: 3, Report: Report{Work: "o-1", State: OrderPlayed, Device: "gate-1", Att: 1, Dur: time.Second}.Reported(time.Minute), Order: &Order{ID: "o-1", Area: "north"}},
		{Op: TrunkOrder, N: 9, Report: Report{Work: "o-1", State: OrderAssigned, Device: "gate-1", MID: "9f", Boot: 2, Att: 1}.Reported(0), Order: &Order{ID: "o-1", Area: "north"}, Handed: &Handed{Work: "o-1", Prio: Normal, TTLMs: -1, Att: 1, Maybe: true}},
		{Op: TrunkRecord, N: 4, AgoMs: 12, Record: json.RawMessage(`{"is":"grant"}`)}, {Op: TrunkSubmitted, N: 2, Work: "o-1"},
		{Op: TrunkTele, Topic: "tacet/device/gate-1/tele/temperature", Payload: []byte("21.5")},
		{Op: TrunkLed, SinceMs: 12, SettleMs: 6250, Holds: []Hold{hold}}, {Op: TrunkRefused, Reason: TrunkTermLow}, {Op: TrunkWitness, Live: true, Leader: "gate-1"},
		{Op: TrunkHeard, Device: "web-1", Claim: &claim, Hold: true}, {Op: TrunkSet, Device: "old-1", On: true, Will: true},
		{Op: TrunkUp, Device: "web-1", Location: "2", Via: ViaClassic}, {Op: TrunkDown, Device: "web-1"}, {Op: TrunkSubmit, N: 2, Handed: &handed},
		{Op: TrunkCancel, Work: "o-1", Reason: EndUser}, {Op: TrunkStopPlay}, {Op: TrunkStored, Work: "o-1"}, {Op: TrunkGot, N: 3},
		{Op: TrunkCommand, Topic: "tacet/device/gate-1/cmd/volume", Payload: []byte(`{"volume":3}`)},
	}
	for i := range list {
		list[i].Area, list[i].Term, list[i].Life = "north", 80, "l1"
	}
	return list
}

func TestTrunkOnTheWire(t *testing.T) {
	seen := map[TrunkOp]bool{}
	for _, want := range everyTrunk() {
		seen[want.Op] = true
		b := want.Encode()
		got, err := ParseTrunk(b)
		if err != nil || string(got.Encode()) != string(b) {
			t.Errorf("%s: %s\nread back %s %v", want.Op, b, got.Encode(), err)
		}
		if !reflect.DeepEqual(got.Claim, want.Claim) || !reflect.DeepEqual(got.Answer, want.Answer) || !reflect.DeepEqual(got.Handed, want.Handed) {
			t.Errorf("%s: read back %+v, want %+v", want.Op, got, want)
		}
	}
	for op := range trunkNeeds {
		if !seen[op] {
			t.Errorf("%s is not tested", op)
		}
	}
	head := `{"v":1,"op":"resign","area":"north","term":80,"life":"l1"}`
	if got := string(Trunk{Op: TrunkResign, Area: "north", Term: 80, Life: "l1"}.Encode()); got != head {
		t.Errorf("got  %s\nwant %s", got, head)
	}
}

func TestTrunkRefused(t *testing.T) {
	cases := map[string]string{
		"no area": `{"op":"ask","life":"l"}`, "no life": `{"op":"ask","area":"north"}`, "lead without a term": `{"op":"lead","area":"north","life":"l"}`,
		"busy of another area": `{"op":"busy","area":"north","life":"l","busy":{"area":"south","state":"idle"}}`,
		"busy that dances":     `{"op":"busy","area":"north","life":"l","busy":{"area":"north","state":"dances"}}`,
		"done that wants":      `{"op":"done","area":"north","life":"l","device":"d","claim":{"op":"want"}}`, "no device": `{"op":"down","area":"north","life":"l"}`,
		"device": `{"op":"down","area":"north","life":"l","device":"a/b"}`, "got nothing": `{"op":"got","area":"north","life":"l"}`,
		"negative": `{"op":"led","area":"north","life":"l","since_ms":-1}`, "attempt 0": `{"op":"submit","n":1,"area":"north","life":"l","handed":{"work":"w"}}`,
		"state": `{"op":"report","n":1,"area":"north","life":"l","report":{"work":"w","state":"sung"}}`,
		"hold":  `{"op":"led","area":"north","life":"l","holds":[{"kind":"lease","device":"d"}]}`, "status": `{"op":"status","area":"north","life":"l","device":"d","status":{"boot":9007199254740993}}`,
		"long text": `{"op":"refused","area":"north","life":"l","reason":"` + strings.Repeat("x", 200) + `"}`,
	}
	for name, wire := range cases {
		if _, err := ParseTrunk([]byte(wire)); CodeOf(err) != CodeInvalid {
			t.Errorf("%s: got %v, want invalid", name, err)
		}
	}
	if _, err := ParseTrunk(make([]byte, MaxTrunk+1)); CodeOf(err) != CodeTooLarge {
		t.Errorf("too large: %v", err)
	}
	if got, err := ParseTrunk([]byte(`{"op":"sing","area":"north","life":"l"}`)); err != nil || got.Op != "sing" {
		t.Errorf("an unknown op: %+v %v, want it read", got, err)
	}
}

func TestAWorkIsHandedOver(t *testing.T) {
	now := time.Now()
	want := Work{ID: "o-1", Area: "north", Location: "1", Prio: High, Dur: 4 * time.Second, Expires: now.Add(time.Minute), Redo: RedoOnce, IfBusy: BusySkip, Body: Body{Kind: "play"}}
	if got := Hand(want, now).Take("north", now); !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if got := Hand(want, now.Add(time.Hour)); got.TTLMs != 0 {
		t.Errorf("past its time %d ms are left", got.TTLMs)
	}
	want.Expires = time.Time{}
	if got := Hand(want, now).Take("north", now); !got.Expires.IsZero() {
		t.Errorf("without an expiry it expires at %v", got.Expires)
	}
	r := Report{Work: "o-1", Area: "north", State: OrderFailed, Device: "d", Att: 2, Reason: EndCut, Dur: time.Second, Ago: time.Minute}
	if got := r.Reported(r.Ago).Report("north"); got != r {
		t.Errorf("report: got %+v, want %+v", got, r)
	}
}

func TestSecretTopics(t *testing.T) {
	for topic, want := range map[string]bool{PeersTopic("d"): true, TrunkUpTopic("d"): false, TrunkDownTopic("d"): false, "home/peers": false, "tacet/device/a b/peers": false} {
		if got := Secret(topic); got != want {
			t.Errorf("%q: got %v, want %v", topic, got, want)
		}
	}
	if !slices.Equal([]bool{HubOnly(PeersTopic("d")), HubOnly(TrunkDownTopic("d")), HubOnly(TrunkUpTopic("d"))}, []bool{true, true, false}) {
		t.Error("peers and trunk/down are the hub's, trunk/up is the device's")
	}
}

func FuzzParseTrunk(f *testing.F) {
	for _, t := range everyTrunk() {
		f.Add(t.Encode())
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := ParseTrunk(b)
		if err != nil {
			return
		}
		back, err := ParseTrunk(m.Encode())
		if err != nil || string(back.Encode()) != string(m.Encode()) {
			t.Errorf("%s reads as %s, written and read again %s %v", b, m.Encode(), back.Encode(), err)
		}
	})
}

func FuzzParsePeers(f *testing.F) {
	f.Add(somePeers().Encode())
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := ParsePeers(b)
		if err != nil {
			return
		}
		if back, err := ParsePeers(p.Encode()); err != nil || string(back.Encode()) != string(p.Encode()) {
			t.Errorf("%s reads as %+v, written and read again %+v %v", b, p, back, err)
		}
	})
}
