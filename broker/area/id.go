package area

import (
	"strings"
	"unicode/utf8"
)

// Name is the id of an area: [A-Za-z0-9_-]{1,64}.
type Name string

// LocationID is the id of a location: [A-Za-z0-9_-]{1,64}. It is unique over
// all areas of a tenant.
type LocationID string

// DeviceID names a device. A player's is [A-Za-z0-9_-]{1,64}; a sensor's is
// free text of 1 to 128 bytes of UTF-8 without control characters.
type DeviceID string

// WorkID is the id of a work, and of the order that it came from:
// [A-Za-z0-9_-]{1,64}.
type WorkID string

// Group is the name of a hub group: [A-Za-z0-9_.:-]{1,128}. Groups that begin
// with area:, user:, role:, tenant: or doc: belong to the hub.
type Group string

// Unassigned holds the sensors that have no area. Nothing can be announced to
// it.
const Unassigned Name = "unassigned"

const (
	maxID     = 64  // DESIGN.md §3.6, Names
	maxSensor = 128 // same
	maxGroup  = 128 // same
)

// AreaGroup is the group of everybody who watches area a.
func AreaGroup(a Name) Group { return Group("area:" + string(a)) }

// Reserved tells whether the group belongs to the hub, so that joining it or
// sending to it needs a right of its own.
func (g Group) Reserved() bool {
	head, _, ok := strings.Cut(string(g), ":")
	if !ok {
		return false
	}
	switch head {
	case "area", "user", "role", "tenant", "doc":
		return true
	}
	return false
}

// HubEvent tells whether an event of a reserved group is one that only the hub
// sends, so that nobody can pass off news of his own as the hub's.
func HubEvent(event string) bool {
	switch event {
	case "AreaChanged", "DeviceChanged", "DeviceEvent", "OrderChanged", "Reading", "Topic", "ReceiveMetric", "ReceiveWork", "ReceiveWorkStatus",
		"WorkOffered", "Revoked", "ConnectionAcknowledged", "UserJoined", "UserLeft", "ReceiveNotification", "ReceiveSystemAlert", "DocumentUpdated", "PositionChanged":
		return true
	}
	return false
}

// ParseName reads the id of an area. Its error is an [Error] of code
// [CodeInvalid].
func ParseName(s string) (Name, error) { return parseID[Name]("area", s) }

// ParseLocationID reads the id of a location. Its error is an [Error] of code
// [CodeInvalid].
func ParseLocationID(s string) (LocationID, error) { return parseID[LocationID]("location", s) }

// ParseDeviceID reads the id of a player. Its error is an [Error] of code
// [CodeInvalid].
func ParseDeviceID(s string) (DeviceID, error) { return parseID[DeviceID]("device", s) }

// ParseWorkID reads the id of a work. Its error is an [Error] of code
// [CodeInvalid].
func ParseWorkID(s string) (WorkID, error) { return parseID[WorkID]("work", s) }

// ParseSensorID reads the id of a sensor, which is free text. Its error is an
// [Error] of code [CodeInvalid].
func ParseSensorID(s string) (DeviceID, error) {
	if len(s) == 0 || len(s) > maxSensor || !utf8.ValidString(s) {
		return "", Errorf(CodeInvalid, "sensor id %s is not 1 to %d bytes of UTF-8", quote(s), maxSensor)
	}
	for _, r := range s {
		if r < 0x20 || r >= 0x7f && r < 0xa0 {
			return "", Errorf(CodeInvalid, "sensor id %s has a control character", quote(s))
		}
	}
	return DeviceID(s), nil
}

// ParseGroup reads the name of a group. Its error is an [Error] of code
// [CodeInvalid].
func ParseGroup(s string) (Group, error) {
	if !madeOf(s, maxGroup, "_.:-") {
		return "", Errorf(CodeInvalid, "group %s is not 1 to %d of A-Z a-z 0-9 _ . : -", quote(s), maxGroup)
	}
	return Group(s), nil
}

// IsID tells whether s can be the id of an area, a location, a player or a
// work.
func IsID(s string) bool { return madeOf(s, maxID, "_-") }

// Slug makes an id out of a name that people read: letters in lower case, each
// run of other characters a "-". It answers false where nothing is left of the
// text ("North Wing" becomes "north-wing"; "???" becomes nothing).
func Slug(text string) (Name, bool) {
	var b strings.Builder
	gap := false
	for _, r := range strings.ToLower(text) {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || r == '_' {
			if gap && b.Len() > 0 {
				b.WriteByte('-')
			}
			gap = false
			b.WriteRune(r)
		} else {
			gap = true
		}
		if b.Len() >= maxID {
			break
		}
	}
	s := b.String()
	if len(s) > maxID {
		s = s[:maxID]
	}
	return Name(s), s != ""
}

func parseID[T ~string](what, s string) (T, error) {
	if !IsID(s) {
		return "", Errorf(CodeInvalid, "%s id %s is not 1 to %d of A-Z a-z 0-9 _ -", what, quote(s), maxID)
	}
	return T(s), nil
}

// madeOf tells whether s has 1 to most bytes, each a letter, a digit or one of
// extra.
func madeOf(s string, most int, extra string) bool {
	if len(s) == 0 || len(s) > most {
		return false
	}
	for i := 0; i < len(s); i++ {
		c := s[i]
		if c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' {
			continue
		}
		if strings.IndexByte(extra, c) < 0 {
			return false
		}
	}
	return true
}

// quote shows foreign text in a message: quoted, and cut where it is long.
func quote(s string) string {
	const most = 80
	if len(s) > most {
		s = s[:most] + "…"
	}
	return `"` + strings.Map(func(r rune) rune {
		if r < 0x20 || r == utf8.RuneError || r >= 0x7f && r < 0xa0 {
			return '?'
		}
		return r
	}, s) + `"`
}
