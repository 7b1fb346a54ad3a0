package area

import "strings"

// Root is the first level of every topic of ours.
const Root = "tacet"

// Kind says what travels on a topic of ours.
type Kind uint8

// The kinds of topics. The table is COORDINATION.md §3.1 and DESIGN.md §3.4.
const (
	KindForeign   Kind = iota // not a topic of ours
	KindBusy                  // tacet/area/{area}/busy
	KindFlag                  // tacet/area/{area}/busy/flag
	KindSet                   // tacet/area/{area}/busy/set/{device}
	KindClaim                 // tacet/area/{area}/claim/{device}
	KindAreaWork              // tacet/area/{area}/work
	KindSubmit                // tacet/area/{area}/submit
	KindLeader                // tacet/area/{area}/leader
	KindPoll                  // tacet/area/{area}/poll
	KindVote                  // tacet/area/{area}/vote/{device}
	KindGrant                 // tacet/device/{device}/grant
	KindWork                  // tacet/device/{device}/work
	KindStatus                // tacet/device/{device}/status
	KindTele                  // tacet/device/{device}/tele/{name}
	KindEvent                 // tacet/device/{device}/event/{name}
	KindCommand               // tacet/device/{device}/cmd/{name}
	KindLog                   // tacet/device/{device}/log
	KindPeers                 // tacet/device/{device}/peers
	KindTrunkUp               // tacet/device/{device}/trunk/up
	KindTrunkDown             // tacet/device/{device}/trunk/down
	KindGroup                 // tacet/group/{group}/{name}
	KindRequest               // tacet/request/{resource}/{verb}
	KindResponse              // tacet/response/{transaction}
)

// Topic is a topic name of ours, taken apart. Which fields are set depends on
// the kind.
type Topic struct {
	Kind   Kind
	Area   Name
	Device DeviceID
	Group  Group
	Name   string // metric, event, command, verb or transaction
}

// BusyTopic carries the retained [Busy] of an area.
func BusyTopic(a Name) string { return Root + "/area/" + string(a) + "/busy" }

// FlagTopic carries the retained 1 or 0 for devices that know MQTT alone.
func FlagTopic(a Name) string { return Root + "/area/" + string(a) + "/busy/flag" }

// SetTopic is where a dumb device says 1 and 0.
func SetTopic(a Name, d DeviceID) string {
	return Root + "/area/" + string(a) + "/busy/set/" + string(d)
}

// ClaimTopic is where a device speaks to the arbiter of its area.
func ClaimTopic(a Name, d DeviceID) string {
	return Root + "/area/" + string(a) + "/claim/" + string(d)
}

// AreaWorkTopic carries offers to every device of an area.
func AreaWorkTopic(a Name) string { return Root + "/area/" + string(a) + "/work" }

// SubmitTopic is where work is handed in over MQTT.
func SubmitTopic(a Name) string { return Root + "/area/" + string(a) + "/submit" }

// LeaderTopic carries the retained [Leader] of an area.
func LeaderTopic(a Name) string { return Root + "/area/" + string(a) + "/leader" }

// PollTopic is where the arbiter of a strict area asks for votes ([Poll]).
func PollTopic(a Name) string { return Root + "/area/" + string(a) + "/poll" }

// VoteTopic is where a device votes for an arbiter ([Vote]).
func VoteTopic(a Name, d DeviceID) string {
	return Root + "/area/" + string(a) + "/vote/" + string(d)
}

// GrantTopic carries the arbiter's answers to one device.
func GrantTopic(d DeviceID) string { return Root + "/device/" + string(d) + "/grant" }

// WorkTopic carries offers to one device.
func WorkTopic(d DeviceID) string { return Root + "/device/" + string(d) + "/work" }

// StatusTopic carries the retained [Status] of a device.
func StatusTopic(d DeviceID) string { return Root + "/device/" + string(d) + "/status" }

// PeersTopic carries the roster document of its area ([Peers]) to a device that
// can lead.
func PeersTopic(d DeviceID) string { return Root + "/device/" + string(d) + "/peers" }

// TrunkUpTopic carries what the local leader of an area says to the hub
// ([Trunk]).
func TrunkUpTopic(d DeviceID) string { return Root + "/device/" + string(d) + "/trunk/up" }

// TrunkDownTopic carries what the hub says to the local leader of an area
// ([Trunk]).
func TrunkDownTopic(d DeviceID) string { return Root + "/device/" + string(d) + "/trunk/down" }

// GroupTopic mirrors one event of a hub group.
func GroupTopic(g Group, event string) string {
	return Root + "/group/" + string(g) + "/" + event
}

// ResponseTopic is where a refused submit and a request are answered.
func ResponseTopic(transaction string) string { return Root + "/response/" + transaction }

// ParseTopic takes a topic name apart. A topic that is not of the grammar, one
// of ours with a bad id included, is KindForeign.
func ParseTopic(topic string) Topic {
	level := strings.Split(topic, "/")
	if level[0] != Root || len(level) < 3 {
		return Topic{}
	}
	switch level[1] {
	case "area":
		return parseAreaTopic(level)
	case "device":
		return parseDeviceTopic(level)
	case "group":
		if g, err := ParseGroup(level[2]); err == nil && len(level) == 4 && level[3] != "" {
			return Topic{Kind: KindGroup, Group: g, Name: level[3]}
		}
	case "request":
		if len(level) == 4 && level[2] != "" && level[3] != "" {
			return Topic{Kind: KindRequest, Name: level[2] + "/" + level[3]}
		}
	case "response":
		if len(level) == 3 && level[2] != "" {
			return Topic{Kind: KindResponse, Name: level[2]}
		}
	}
	return Topic{}
}

func parseAreaTopic(level []string) Topic {
	if len(level) < 4 || len(level) > 6 || !IsID(level[2]) {
		return Topic{}
	}
	t := Topic{Area: Name(level[2])}
	if last := level[len(level)-1]; len(level) == 6 || level[3] == "claim" || level[3] == "vote" {
		if !IsID(last) {
			return Topic{}
		}
		t.Device = DeviceID(last)
		level = level[:len(level)-1]
	}
	switch strings.Join(level[3:], "/") {
	case "busy":
		t.Kind = KindBusy
	case "busy/flag":
		t.Kind = KindFlag
	case "busy/set":
		t.Kind = KindSet
	case "claim":
		t.Kind = KindClaim
	case "work":
		t.Kind = KindAreaWork
	case "submit":
		t.Kind = KindSubmit
	case "leader":
		t.Kind = KindLeader
	case "poll":
		t.Kind = KindPoll
	case "vote":
		t.Kind = KindVote
	}
	if t.Kind == KindForeign || (t.Device != "") != (t.Kind == KindSet || t.Kind == KindClaim || t.Kind == KindVote) {
		return Topic{}
	}
	return t
}

func parseDeviceTopic(level []string) Topic {
	if len(level) < 4 || len(level) > 5 || !IsID(level[2]) {
		return Topic{}
	}
	t := Topic{Device: DeviceID(level[2])}
	if len(level) == 4 {
		switch level[3] {
		case "grant":
			t.Kind = KindGrant
		case "work":
			t.Kind = KindWork
		case "status":
			t.Kind = KindStatus
		case "log":
			t.Kind = KindLog
		case "peers":
			t.Kind = KindPeers
		default:
			return Topic{}
		}
		return t
	}
	if level[3] == "trunk" {
		switch level[4] {
		case "up":
			t.Kind = KindTrunkUp
		case "down":
			t.Kind = KindTrunkDown
		default:
			return Topic{}
		}
		return t
	}
	t.Name = level[4]
	if t.Name == "" {
		return Topic{}
	}
	switch level[3] {
	case "tele":
		t.Kind = KindTele
	case "event":
		t.Kind = KindEvent
	case "cmd":
		t.Kind = KindCommand
	default:
		return Topic{}
	}
	return t
}

// ShownObject is what the names of the objects begin with as which Home Assistant's
// discovery shows areas and players.
const ShownObject = "tacet_"

// Shown tells whether a topic is a discovery document of a hub's own, so that no
// hub takes its players for sensors.
func Shown(topic string) bool {
	return strings.HasPrefix(topic, "homeassistant/device/"+ShownObject)
}

// HubOnly tells whether a topic may be written by the hub alone (DESIGN.md
// §3.6, MQTT).
func HubOnly(topic string) bool {
	if strings.HasPrefix(topic, "$SYS/") || strings.HasPrefix(topic, Root+"/response/") || strings.HasPrefix(topic, Root+"/ha/") {
		return true
	}
	switch ParseTopic(topic).Kind {
	case KindBusy, KindFlag, KindLeader, KindPoll, KindGrant, KindWork, KindAreaWork, KindPeers, KindTrunkDown:
		return true
	}
	return false
}

// Secret tells whether a topic carries what its device alone may read: the key
// of its area.
func Secret(topic string) bool {
	return strings.HasSuffix(topic, "/peers") && ParseTopic(topic).Kind == KindPeers
}

// MatchFilter tells whether a topic filter matches a topic name, as MQTT 5
// §4.7 has it: "#" also matches the parent level, and a wildcard in the first
// level does not match a name that begins with "$".
func MatchFilter(filter, topic string) bool {
	if strings.HasPrefix(topic, "$") && (strings.HasPrefix(filter, "+") || strings.HasPrefix(filter, "#")) {
		return false
	}
	for {
		f, frest, fmore := strings.Cut(filter, "/")
		if f == "#" {
			return true
		}
		t, trest, tmore := strings.Cut(topic, "/")
		if f != "+" && f != t {
			return false
		}
		switch {
		case !fmore && !tmore:
			return true
		case fmore && !tmore:
			return frest == "#"
		case !fmore:
			return false
		}
		filter, topic = frest, trest
	}
}

// ValidFilter tells whether a topic filter is well formed: not empty, "+" alone
// in its level, "#" alone in the last.
func ValidFilter(filter string) bool {
	if filter == "" || len(filter) > 65535 || strings.ContainsRune(filter, 0) {
		return false
	}
	level := strings.Split(filter, "/")
	for i, l := range level {
		if strings.Contains(l, "#") && (l != "#" || i != len(level)-1) {
			return false
		}
		if strings.Contains(l, "+") && l != "+" {
			return false
		}
	}
	return true
}
