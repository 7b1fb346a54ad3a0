package auth

import (
	"slices"
	"strings"
	"sync/atomic"

	"hash/maphash"

	"github.com/tacet-hub/tacet/broker/area"
)

// Access is what a principal may publish and read over MQTT: ordered rules, of
// which the first that speaks decides; what none speaks of is denied. It does
// not change, and is safe for concurrent use; asking it takes no lock and, for
// topics that were asked about lately, allocates nothing.
//
// The rules, in their order:
//
//  1. Topics that only the hub writes are not published on; topics and filters
//     that begin with $ or @ are neither published on nor read; a secret topic
//     ([area.Secret]) is read by its device alone.
//  2. The principal's own rules, as they are configured.
//  3. What its kind and roles give: see the package comment.
type Access struct {
	publish, read []Rule
	readsAll      bool        // the first rule for reading allows "#"
	own           string      // the one secret topic that it may read: see [area.Secret]
	ownRead       int         // so many rules for reading are its own
	groups        groupRights // what the others give of hub groups
	verdicts      [2]verdicts // on publishing, on reading
}

// Access makes the principal's rules. It answers rules that deny everything
// where one of the principal's own cannot be read.
func (p Principal) Access() *Access {
	if p.access != nil {
		return p.access
	}
	a := &Access{}
	own, errOwn := parseRules(p.Publish)
	ownRead, errRead := parseRules(p.Subscribe)
	if errOwn != nil || errRead != nil {
		return a
	}
	a.publish = append(own, allow(p.grantedPublish())...)
	a.read = append(ownRead, allow(p.grantedRead())...)
	a.groups, a.ownRead = p.groupRights(), len(ownRead)
	a.readsAll = len(a.read) > 0 && a.read[0] == Rule{Filter: "#"}
	if p.Kind == KindDevice {
		a.own = area.PeersTopic(area.DeviceID(p.Name))
	}
	return a
}

func parseRules(texts []string) ([]Rule, error) {
	var rules []Rule
	for _, t := range texts {
		r, err := ParseRule(t)
		if err != nil {
			return nil, err
		}
		rules = append(rules, r)
	}
	return rules, nil
}

func allow(filters []string) []Rule {
	rules := make([]Rule, len(filters))
	for i, f := range filters {
		rules[i] = Rule{Filter: f}
	}
	return rules
}

// grantedPublish is DESIGN.md §3.6, MQTT.
func (p Principal) grantedPublish() []string {
	if p.Kind == KindDevice {
		d := area.DeviceID(p.Name)
		list := []string{area.Root + "/device/" + p.Name + "/#"}
		if p.Area != "" {
			list = append(list, area.ClaimTopic(p.Area, d), area.SetTopic(p.Area, d), area.VoteTopic(p.Area, d))
		}
		return list
	}
	var list []string
	switch rank := p.rank(); {
	case rank == Admin:
		return []string{"#"}
	case rank >= Operate && p.everywhere():
		list = []string{area.Root + "/device/+/cmd/+", area.Root + "/request/#", area.Root + "/group/#"}
		fallthrough
	case rank >= Announce:
		if rank >= Operate {
			for _, a := range p.areaNames() {
				list = append(list, groupFilter(a))
			}
		}
		for _, a := range p.areaLevels() {
			list = append(list, area.Root+"/area/"+a+"/submit", area.Root+"/area/"+a+"/cmd/+")
		}
	}
	return list
}

func (p Principal) grantedRead() []string {
	if p.Kind == KindDevice {
		list := []string{area.Root + "/device/" + p.Name + "/#"}
		if p.Area != "" {
			list = append(list, area.Root+"/area/"+string(p.Area)+"/#", groupFilter(p.Area))
		}
		return list
	}
	switch {
	case p.rank() == 0:
		return nil
	case p.everywhere():
		return []string{"#"}
	}
	var list []string
	for _, a := range p.areaLevels() {
		list = append(list, area.Root+"/area/"+a+"/#")
	}
	for _, a := range p.areaNames() {
		list = append(list, groupFilter(a))
	}
	return list
}

// groupFilter is the topics of an area's group.
func groupFilter(a area.Name) string { return area.GroupTopic(area.AreaGroup(a), "#") }

// areaNames are the areas by name where the roles count.
func (p Principal) areaNames() (list []area.Name) {
	for _, a := range p.Areas {
		if area.IsID(a) {
			list = append(list, area.Name(a))
		}
	}
	return list
}

// areaLevels are the areas where the roles count, as levels of a filter.
func (p Principal) areaLevels() []string {
	if p.everywhere() {
		return []string{"+"}
	}
	return slices.DeleteFunc(slices.Clone(p.Areas), func(a string) bool { return !area.IsID(a) })
}

// MayPublish tells whether a message may be published on the topic, which is a
// valid topic name without mountpoint.
func (a *Access) MayPublish(topic string) bool {
	return a.verdicts[0].ask(topic, a.decidePublish)
}

func (a *Access) decidePublish(topic string) bool {
	return !closed(topic) && !area.HubOnly(topic) && decide(a.publish, topic)
}

// MayRead tells whether a message on the topic may be delivered.
func (a *Access) MayRead(topic string) bool {
	if a.readsAll {
		return !closed(topic) && a.trusted(topic) && (a.ownRead > 0 || a.groups.mayRead(topic))
	}
	return a.verdicts[1].ask(topic, a.decideRead)
}

func (a *Access) decideRead(topic string) bool {
	if closed(topic) || !a.trusted(topic) {
		return false
	}
	for i, r := range a.read {
		if area.MatchFilter(r.Filter, topic) {
			return !r.Deny && (i < a.ownRead || a.groups.mayRead(topic))
		}
	}
	return false
}

// trusted tells whether a topic is no secret, or the principal's own.
func (a *Access) trusted(topic string) bool { return !area.Secret(topic) || topic == a.own }

// MaySubscribe tells whether the filter, a valid one without mountpoint and
// without $share, lies inside a rule that allows it as a whole, and is touched
// by none before that denies.
func (a *Access) MaySubscribe(filter string) bool {
	if closed(filter) {
		return false
	}
	for _, r := range a.read {
		switch {
		case r.Deny && Overlaps(r.Filter, filter):
			return false
		case !r.Deny && Covers(r.Filter, filter):
			return true
		}
	}
	return false
}

// closed tells whether nobody but the hub has to do with a topic or a filter.
func closed(topic string) bool { return topic == "" || topic[0] == '$' || topic[0] == '@' }

func decide(rules []Rule, topic string) bool {
	for _, r := range rules {
		if area.MatchFilter(r.Filter, topic) {
			return !r.Deny
		}
	}
	return false
}

// verdicts remembers what was decided about the topics of late, one in each
// slot: a newer one of the same slot takes its place.
type verdicts [verdictSlots]atomic.Pointer[verdict]

// verdictSlots is small, since each client has them; most have few topics.
const verdictSlots = 8

type verdict struct {
	topic string
	ok    bool
}

var verdictSeed = maphash.MakeSeed()

func (v *verdicts) ask(topic string, decide func(string) bool) bool {
	slot := &v[maphash.String(verdictSeed, topic)%verdictSlots]
	if known := slot.Load(); known != nil && known.topic == topic {
		return known.ok
	}
	ok := decide(topic)
	slot.Store(&verdict{topic: strings.Clone(topic), ok: ok})
	return ok
}

// Mountpoint is the prefix of a tenant's topics and client ids inside the
// broker: "@", the tenant and "/"; empty for the default tenant.
func Mountpoint(tenant string) string {
	if tenant == "" || tenant == DefaultTenant {
		return ""
	}
	return "@" + tenant + "/"
}
