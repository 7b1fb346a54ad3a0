package area

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"time"
)

func TestIDs(t *testing.T) {
	long := strings.Repeat("x", 64)
	for _, s := range []string{"north", "A-1_b", "1", long} {
		if _, err := ParseName(s); err != nil {
			t.Errorf("ParseName(%q): %v", s, err)
		}
	}
	for _, s := range []string{"", long + "x", "a b", "a/b", "é", "a:b", "a.b"} {
		if _, err := ParseName(s); CodeOf(err) != CodeInvalid {
			t.Errorf("ParseName(%q): got %v, want invalid", s, err)
		}
	}
	for s, ok := range map[string]bool{"Gate 12 / hall": true, "": false, "a\nb": false, "a\x85b": false, strings.Repeat("é", 64): true, strings.Repeat("é", 65): false, "\xff": false} {
		if _, err := ParseSensorID(s); (err == nil) != ok {
			t.Errorf("ParseSensorID(%q): got %v, want ok %v", s, err, ok)
		}
	}
}

func TestSlug(t *testing.T) {
	cases := map[string]string{"North Wing": "north-wing", "pier/north": "pier-north", "  A  ": "a", "a--b": "a-b", "Café 7": "caf-7", strings.Repeat("x", 70): strings.Repeat("x", 64)}
	for in, want := range cases {
		if got, ok := Slug(in); !ok || string(got) != want {
			t.Errorf("Slug(%q): got %q %v, want %q", in, got, ok, want)
		}
	}
	if got, ok := Slug("???"); ok {
		t.Errorf("Slug of nothing: got %q", got)
	}
}

func TestReservedGroups(t *testing.T) {
	for g, want := range map[Group]bool{"area:north": true, "user:ann": true, "doc:x": true, "alarms": false, "areas": false, "x:area": false} {
		if got := g.Reserved(); got != want {
			t.Errorf("%q: got %v, want %v", g, got, want)
		}
	}
}

func TestTopicsParseBack(t *testing.T) {
	cases := []struct {
		topic string
		want  Topic
	}{
		{BusyTopic("north"), Topic{Kind: KindBusy, Area: "north"}},
		{FlagTopic("north"), Topic{Kind: KindFlag, Area: "north"}},
		{SetTopic("north", "g-1"), Topic{Kind: KindSet, Area: "north", Device: "g-1"}},
		{VoteTopic("north", "g-1"), Topic{Kind: KindVote, Area: "north", Device: "g-1"}},
		{PollTopic("north"), Topic{Kind: KindPoll, Area: "north"}},
		{ClaimTopic("north", "g-1"), Topic{Kind: KindClaim, Area: "north", Device: "g-1"}},
		{AreaWorkTopic("north"), Topic{Kind: KindAreaWork, Area: "north"}},
		{SubmitTopic("north"), Topic{Kind: KindSubmit, Area: "north"}},
		{LeaderTopic("north"), Topic{Kind: KindLeader, Area: "north"}},
		{GrantTopic("g-1"), Topic{Kind: KindGrant, Device: "g-1"}},
		{WorkTopic("g-1"), Topic{Kind: KindWork, Device: "g-1"}},
		{StatusTopic("g-1"), Topic{Kind: KindStatus, Device: "g-1"}},
		{"tacet/device/g-1/tele/temperature", Topic{Kind: KindTele, Device: "g-1", Name: "temperature"}},
		{"tacet/device/g-1/cmd/volume", Topic{Kind: KindCommand, Device: "g-1", Name: "volume"}},
		{"tacet/device/g-1/log", Topic{Kind: KindLog, Device: "g-1"}},
		{PeersTopic("g-1"), Topic{Kind: KindPeers, Device: "g-1"}},
		{TrunkUpTopic("g-1"), Topic{Kind: KindTrunkUp, Device: "g-1"}},
		{TrunkDownTopic("g-1"), Topic{Kind: KindTrunkDown, Device: "g-1"}},
		{"tacet/device/g-1/trunk", Topic{}},
		{"tacet/device/g-1/trunk/sideways", Topic{}},
		{GroupTopic("area:north", "Alarm"), Topic{Kind: KindGroup, Group: "area:north", Name: "Alarm"}},
		{"tacet/request/areas/get", Topic{Kind: KindRequest, Name: "areas/get"}},
		{ResponseTopic("t1"), Topic{Kind: KindResponse, Name: "t1"}},
		{"tacet/area/a b/busy", Topic{}},
		{"tacet/area/north/busy/set", Topic{}},
		{"tacet/area/north/claim", Topic{}},
		{"tacet/area/north/busy/g-1", Topic{}},
		{AreaWorkTopic("north") + "/g-1", Topic{}},
		{"tacet/area/north/busy/flag/g-1", Topic{}},
		{"tacet/area/north", Topic{}},
		{"tacet/device/g-1/tele/", Topic{}},
		{"home/north/hall/temperature", Topic{}},
		{"", Topic{}},
	}
	for _, c := range cases {
		if got := ParseTopic(c.topic); got != c.want {
			t.Errorf("%q: got %+v, want %+v", c.topic, got, c.want)
		}
	}
}

func TestHubOnlyTopics(t *testing.T) {
	for topic, want := range map[string]bool{
		BusyTopic("n"): true, FlagTopic("n"): true, LeaderTopic("n"): true, GrantTopic("d"): true, WorkTopic("d"): true, AreaWorkTopic("n"): true,
		ResponseTopic("x"): true, "$SYS/broker/uptime": true,
		PollTopic("n"): true, VoteTopic("n", "d"): false, ClaimTopic("n", "d"): false, SetTopic("n", "d"): false, SubmitTopic("n"): false, StatusTopic("d"): false, "home/a": false,
	} {
		if got := HubOnly(topic); got != want {
			t.Errorf("%q: got %v, want %v", topic, got, want)
		}
	}
}

func TestFiltersMatch(t *testing.T) {
	cases := []struct {
		filter, topic string
		want          bool
	}{
		{"a/b", "a/b", true}, {"a/b", "a/b/c", false}, {"a/b/c", "a/b", false}, {"+/b", "a/b", true}, {"a/+", "a/b", true}, {"a/+", "a", false},
		{"a/#", "a", true}, {"a/#", "a/b/c", true}, {"#", "a/b", true}, {"#", "$SYS/x", false}, {"+/x", "$SYS/x", false}, {"$SYS/#", "$SYS/x", true},
		{"a//b", "a//b", true}, {"a/+/b", "a//b", true}, {"+", "", true}, {"/+", "/a", true}, {"+/+", "/a", true}, {"a/+/#", "a/b", true}, {"a/+/#", "a", false},
	}
	for _, c := range cases {
		if got := MatchFilter(c.filter, c.topic); got != c.want {
			t.Errorf("MatchFilter(%q, %q): got %v, want %v", c.filter, c.topic, got, c.want)
		}
	}
	for f, want := range map[string]bool{"a/#": true, "#": true, "+": true, "a+": false, "a/#/b": false, "a#": false, "": false} {
		if got := ValidFilter(f); got != want {
			t.Errorf("ValidFilter(%q): got %v, want %v", f, got, want)
		}
	}
}

func TestLoopGuard(t *testing.T) {
	cases := []struct {
		from, to string
		want     bool
	}{
		{"gate-1", FromHub, true}, {FromHub, FromHub, false}, {FromHub + ":c1", FromHub, false}, {FromHub + "x", FromHub, true},
		{FromNode + ":b", FromNode + ":b", false}, {FromNode + ":b", FromNode + ":c", true}, {"", FromHub, true},
	}
	for _, c := range cases {
		if got := Passes(Message{From: c.from}, c.to); got != c.want {
			t.Errorf("from %q to %q: got %v, want %v", c.from, c.to, got, c.want)
		}
	}
}

// The payloads of COORDINATION.md §3.2, to the letter.
func TestClaimsOnTheWire(t *testing.T) {
	cases := []struct {
		claim Claim
		wire  string
	}{
		{Claim{Op: OpHello, Boot: 41, MID: "9f", Nonce: "k2", Claim: 18, Seq: 77, Term: 64, From: &From{"hub-1", 900}, Prio: Normal},
			`{"op":"hello","boot":41,"mid":"9f","nonce":"k2","claim":18,"seq":77,"term":64,"from":{"arbiter":"hub-1","ago_ms":900}}`},
		{Claim{Op: OpWant, Boot: 41, MID: "9f", Claim: 19, Seq: 78, Term: 64, At: 909000, Prio: 100, Dur: 8 * time.Second, Work: "w-9", Att: 1},
			`{"op":"want","boot":41,"mid":"9f","claim":19,"seq":78,"term":64,"at_ms":909000,"prio":100,"dur_ms":8000,"playing":false,"token":0,"work":"w-9","att":1}`},
		{Claim{Op: OpDone, Boot: 41, MID: "9f", Claim: 19, Seq: 83, Token: 7000041, Work: "w-9", Att: 1, Result: Played, Prio: Normal},
			`{"op":"done","boot":41,"mid":"9f","claim":19,"seq":83,"token":7000041,"work":"w-9","att":1,"result":"played"}`},
		{Claim{Op: OpTake, Boot: 41, MID: "9f", Seq: 5, Work: "w-9", Att: 1, Prio: Normal}, `{"op":"take","boot":41,"mid":"9f","seq":5,"work":"w-9","att":1}`},
		{Claim{Op: OpDecline, Boot: 41, MID: "9f", Seq: 6, Work: "w-9", Att: 2, Prio: Normal}, `{"op":"decline","boot":41,"mid":"9f","seq":6,"work":"w-9","att":2}`},
		{Claim{Op: OpDecline, Boot: 41, MID: "9f", Seq: 6, Work: "w-9", Att: 2, Prio: Normal, Reason: EndClipHash}, `{"op":"decline","boot":41,"mid":"9f","seq":6,"work":"w-9","att":2,"reason":"clip_hash"}`},
	}
	for _, c := range cases {
		if got := string(c.claim.Encode()); got != c.wire {
			t.Errorf("%s: got  %s\nwant %s", c.claim.Op, got, c.wire)
		}
		back, err := ParseClaim([]byte(c.wire))
		if err != nil || !reflect.DeepEqual(back, c.claim) {
			t.Errorf("%s: read back %+v %v, want %+v", c.claim.Op, back, err, c.claim)
		}
	}
}

func TestClaimsRefused(t *testing.T) {
	cases := []struct {
		name, wire string
		want       Code
	}{
		{"empty", ``, CodeBadRequest}, {"no JSON", `{`, CodeBadRequest}, {"array", `[]`, CodeBadRequest}, {"text number", `{"op":"want","boot":"1"}`, CodeBadRequest},
		{"unknown op", `{"op":"sing"}`, CodeInvalid}, {"negative", `{"op":"want","boot":-1}`, CodeInvalid}, {"over 2^53", `{"op":"want","boot":9007199254740992}`, CodeInvalid},
		{"bad work", `{"op":"take","boot":1,"work":"a b"}`, CodeInvalid}, {"take of nothing", `{"op":"take","boot":1}`, CodeInvalid},
		{"unknown result", `{"op":"done","boot":1,"result":"meh"}`, CodeInvalid}, {"prio", `{"op":"want","boot":1,"prio":1000}`, CodeInvalid},
		{"fraction", `{"op":"want","boot":1.5}`, CodeBadRequest}, {"two values", `{"op":"hello"}{}`, CodeBadRequest},
		{"huge", `{"op":"hello","mid":"` + strings.Repeat("x", MaxControl) + `"}`, CodeTooLarge}, {"long mid", `{"op":"hello","mid":"` + strings.Repeat("x", 200) + `"}`, CodeInvalid},
		{"long year", `{"op":"want","boot":1,"dur_ms":99999999999999}`, CodeInvalid},
	}
	for _, c := range cases {
		if _, err := ParseClaim([]byte(c.wire)); CodeOf(err) != c.want {
			t.Errorf("%s: got %v, want %s", c.name, err, c.want)
		}
	}
	if c, err := ParseClaim([]byte(`{"op":"hello","boot":1,"colour":"red"}`)); err != nil || c.Boot != 1 {
		t.Errorf("an unknown field: got %+v %v, want it ignored", c, err)
	}
}

func TestAnswersOnTheWire(t *testing.T) {
	cases := []struct {
		answer Answer
		wire   string
	}{
		{Answer{Op: OpHello, Boot: 41, MID: "9f", Nonce: "k2", Term: 64}, `{"op":"hello","boot":41,"mid":"9f","nonce":"k2","term":64}`},
		{Answer{Op: OpGrant, Boot: 41, Claim: 19, Ack: 78, Token: 7000041, Lease: 6 * time.Second}, `{"op":"grant","boot":41,"claim":19,"ack":78,"token":7000041,"lease_ms":6000}`},
		{Answer{Op: OpQueued, Boot: 41, Claim: 19, Ack: 78, Pos: 2}, `{"op":"queued","boot":41,"claim":19,"ack":78,"pos":2}`},
		{Answer{Op: OpRevoke, Boot: 41, Claim: 19, Token: 7000041, Stop: 150 * time.Millisecond, Reason: ReasonPreempt},
			`{"op":"revoke","boot":41,"claim":19,"token":7000041,"stop_ms":150,"reason":"preempt"}`},
		{Answer{Op: OpReleased, Boot: 41, Claim: 19, Ack: 83}, `{"op":"released","boot":41,"claim":19,"ack":83}`},
		{Answer{Op: OpAssigned, Boot: 41, Work: "w-9", Att: 1, Dur: 8 * time.Second, Prio: 100}, `{"op":"assigned","boot":41,"work":"w-9","att":1,"dur_ms":8000,"prio":100}`},
		{Answer{Op: OpRefused, Boot: 41, Claim: 19, Ack: 78, Reason: ReasonReplaced}, `{"op":"refused","boot":41,"claim":19,"ack":78,"reason":"replaced"}`},
		{Answer{Op: OpRefused, Boot: 41, Claim: 19, Ack: 78, Reason: ReasonNotMember, Area: "north"},
			`{"op":"refused","boot":41,"claim":19,"ack":78,"reason":"not_member","area":"north"}`},
	}
	for _, c := range cases {
		got := c.answer.Encode()
		var a, b map[string]any
		if json.Unmarshal(got, &a) != nil || json.Unmarshal([]byte(c.wire), &b) != nil || !reflect.DeepEqual(a, b) {
			t.Errorf("%s: got  %s\nwant %s", c.answer.Op, got, c.wire)
		}
		back, err := ParseAnswer([]byte(c.wire))
		if err != nil || !reflect.DeepEqual(back, c.answer) {
			t.Errorf("%s: read back %+v %v, want %+v", c.answer.Op, back, err, c.answer)
		}
	}
	if _, err := ParseAnswer([]byte(`{"op":"refused","boot":41,"reason":"not_member","area":"north/+"}`)); CodeOf(err) != CodeInvalid {
		t.Errorf("an area that is no id: %v", err)
	}
}

func TestBusyOnTheWire(t *testing.T) {
	want := `{"v":1,"area":"north","term":64,"rev":12,"state":"idle","holder":null,"claim":null,"token":null,"prio":null,"work":null,"lease_ms":6000,"queue":[],"queued":0,"intruders":[]}`
	if got := string(IdleBusy("north", 64, 12, 6*time.Second).Encode()); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	b, err := ParseBusy([]byte(want))
	if err != nil || b.Flag() != "0" || b.Lease() != 6*time.Second {
		t.Errorf("read back %+v %v", b, err)
	}
	for _, bad := range []string{`{}`, `null`, `{"area":"north","state":"dancing"}`, `{"area":"a b","state":"idle"}`} {
		if _, err := ParseBusy([]byte(bad)); err == nil {
			t.Errorf("%s: no error", bad)
		}
	}
}

func TestOfferAndSubmit(t *testing.T) {
	o := Offer{Work: "w-9", Att: 1, Dur: 8 * time.Second, Prio: 100, TTL: time.Minute, Body: Body{Kind: "announce", Message: ptr("hello"), Chime: "none", Repeat: 1, Languages: []string{}}}
	back, err := ParseOffer(o.Encode())
	if err != nil || !reflect.DeepEqual(back, o) {
		t.Errorf("offer: read back %+v %v, want %+v", back, err, o)
	}
	s, err := ParseSubmit([]byte(`{"v":1,"work":"w-9","location":"1","device":"gate-1"}`))
	if CodeOf(err) != CodeInvalid || s.Work != "w-9" {
		t.Errorf("two targets: got %+v %v, want invalid with the work's id", s, err)
	}
	if s, err := ParseSubmit([]byte(`{"prio":"high","work":"w-9","body":{}}`)); CodeOf(err) != CodeBadRequest || s.Work != "w-9" {
		t.Errorf("prio of a wrong type: %v %+v, want the work's id all the same", err, s)
	}
	if _, err := ParseSubmit([]byte(`{"v":1,"work":"w 9"}`)); CodeOf(err) != CodeInvalid {
		t.Errorf("bad id: got %v", err)
	}
}

func TestRequestsRefuseWhatTheyDoNotKnow(t *testing.T) {
	var r OrderRequest
	err := DecodeRequest([]byte(`{"to":{"area":"north"},"colour":"red"}`), &r)
	e, ok := err.(*Error)
	if !ok || e.Code != CodeBadRequest || len(e.Fields) != 1 || e.Fields[0].Field != "colour" {
		t.Errorf("unknown field: got %#v", err)
	}
	if err := DecodeRequest([]byte(`{"priority":"loud"}`), &r); CodeOf(err) != CodeInvalid {
		t.Errorf("bad priority: got %v", err)
	}
	if err := DecodeRequest([]byte(`{"expires":60}`), &r); CodeOf(err) != CodeInvalid {
		t.Errorf("duration without a unit: got %v", err)
	}
	if err := DecodeRequest([]byte(`{} {}`), &r); CodeOf(err) != CodeBadRequest {
		t.Errorf("two values: got %v", err)
	}
}

func TestTimeAndDuration(t *testing.T) {
	u := At(time.Date(2026, 11, 21, 10, 0, 34, 7_890_000, time.FixedZone("x", 3600)))
	if got := u.String(); got != "2026-11-21T09:00:34.007Z" {
		t.Errorf("time: got %s", got)
	}
	for d, want := range map[time.Duration]string{time.Minute: "1m", 90 * time.Second: "1m30s", 2 * time.Hour: "2h", 300 * time.Millisecond: "300ms", 0: "0s", 10 * time.Second: "10s"} {
		if got := Duration(d).String(); got != want {
			t.Errorf("duration %v: got %s, want %s", d, got, want)
		}
	}
}

func TestShowPayload(t *testing.T) {
	for in, want := range map[string]string{`{"a":1}`: `{"a":1}`, "21.5": "21.5", "hello": `"hello"`, "": `""`, "\xff\x00": `{"base64":"/wA="}`, "\"\xff\"": `{"base64":"Iv8i"}`} {
		if got := string(ShowPayload([]byte(in))); got != want {
			t.Errorf("%q: got %s, want %s", in, got, want)
		}
	}
}

func TestDiff(t *testing.T) {
	a := Area{ID: "north", Volume: 70, Seq: 1}
	b := a
	b.Volume, b.Seq = 80, 2
	if got := Diff(a, b); len(got) != 1 || string(got["volume"]) != "80" {
		t.Errorf("got %v, want volume alone", got)
	}
	if got := Diff(nil, a); len(got) < 10 || got["seq"] != nil {
		t.Errorf("from nothing: got %v, want every key but seq", got)
	}
}

func TestErrorCodes(t *testing.T) {
	err := Errorf(CodeUnknownArea, "no area %q", "x")
	if err.Error() != `unknown_area: no area "x"` || CodeOf(err) != CodeUnknownArea || CodeUnknownArea.Status() != 422 {
		t.Errorf("got %v, status %d", err, CodeUnknownArea.Status())
	}
	if CodeOf(json.Unmarshal([]byte("{"), new(int))) != CodeInternal {
		t.Error("a foreign error is not internal")
	}
}

func FuzzParseClaim(f *testing.F) {
	f.Add([]byte(`{"op":"want","boot":41,"claim":19,"seq":78,"prio":100,"dur_ms":8000,"playing":false,"token":0,"work":"w-9"}`))
	f.Add([]byte(`{"op":"hello","boot":41,"from":{"arbiter":"hub-1","ago_ms":900}}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		c, err := ParseClaim(b)
		if err != nil {
			return
		}
		back, err := ParseClaim(c.Encode())
		if err != nil || back.Op != c.Op || back.Boot != c.Boot || back.Claim != c.Claim && (c.Op == OpWant || c.Op == OpDone || c.Op == OpHello) {
			t.Errorf("%s reads as %+v, written and read again %+v %v", b, c, back, err)
		}
	})
}

func FuzzParseAnswer(f *testing.F) {
	f.Add([]byte(`{"op":"grant","boot":41,"claim":19,"ack":78,"token":7000041,"lease_ms":6000}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		a, err := ParseAnswer(b)
		if err != nil {
			return
		}
		if back, err := ParseAnswer(a.Encode()); err != nil || back.Op != a.Op || back.Boot != a.Boot {
			t.Errorf("%s reads as %+v, written and read again %+v %v", b, a, back, err)
		}
	})
}

func FuzzTopics(f *testing.F) {
	f.Add("tacet/area/north/busy/set/x", "tacet/#")
	f.Fuzz(func(t *testing.T, topic, filter string) {
		ParseTopic(topic)
		MatchFilter(filter, topic)
		if ValidFilter(topic) && !strings.ContainsAny(topic, "+#") && !MatchFilter(topic, topic) {
			t.Errorf("%q does not match itself", topic)
		}
		_, _ = ParseOffer([]byte(topic))
		_, _ = ParseSubmit([]byte(topic))
		_, _ = ParseStatus([]byte(topic))
		_, _ = ParseBusy([]byte(topic))
	})
}
