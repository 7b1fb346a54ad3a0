package homeassistant

import (
	"encoding/json"
	"strconv"
	"time"

	"github.com/tacet-hub/tacet/broker/area"
)

// states is below what the state topics are.
const states = area.Root + "/ha/"

// hubTopic says whether the hub is there.
const hubTopic = states + "hub"

// Payloads of states.
const (
	online  = "online"
	offline = "offline"
	on      = "ON"
	off     = "OFF"
)

// site is what is shown.
type site struct {
	areas   []area.Area
	devices []area.Device            // players
	saying  map[area.DeviceID]string // what each says now
	tones   []string
	prefix  string
	version string
}

// maxState is the most characters of a state that Home Assistant takes.
const maxState = 255

// documents is everything that there should be, by topic.
func documents(s site) map[string]string {
	all := map[string]string{hubTopic: online}
	names := map[area.Name]string{}
	for _, a := range s.areas {
		names[a.ID] = a.Name
		s.area(all, a)
	}
	waiting := queues(s.areas)
	for _, d := range s.devices {
		s.device(all, d, names[d.Area], waiting[d.ID], s.saying[d.ID])
	}
	return all
}

// queues counts what waits for each device.
func queues(areas []area.Area) map[area.DeviceID]int {
	waiting := map[area.DeviceID]int{}
	for _, a := range areas {
		for _, q := range a.Queue {
			if q.Device != nil {
				waiting[*q.Device]++
			}
		}
	}
	return waiting
}

type object = map[string]any

// device adds the document and the states of a player.
func (s site) device(all map[string]string, d area.Device, in string, waiting int, saying string) {
	id, at, cmd := area.ShownObject+"device_"+string(d.ID), states+"device/"+string(d.ID)+"/", area.Root+"/device/"+string(d.ID)+"/cmd/"
	cmps := object{
		"busy":      sensor("binary_sensor", "Busy", at+"busy", object{"device_class": "sound"}),
		"connected": sensor("binary_sensor", "Connected", at+"connected", object{"device_class": "connectivity", "entity_category": "diagnostic", "availability_topic": hubTopic}),
		"queue":     sensor("sensor", "Queue", at+"queue", object{"icon": "mdi:tray-full"}),
		"saying":    sensor("sensor", "Now announcing", at+"announcing", object{"icon": "mdi:bullhorn"}),
		"seen":      sensor("sensor", "Last seen", at+"seen", object{"device_class": "timestamp", "entity_category": "diagnostic"}),
		"announce":  object{"p": "notify", "name": "Announce", "command_topic": cmd + "announce"},
		"chime":     s.siren(cmd),
		"stop":      button("Stop", cmd+"stop", "mdi:stop"),
		"test":      button("Test tone", cmd+"test", "mdi:volume-high"),
	}
	if d.Via == area.ViaMQTT { // others have no command topics of their own
		cmps["volume"] = object{"p": "number", "name": "Volume", "command_topic": cmd + "volume", "state_topic": at + "volume",
			"min": 0, "max": 100, "step": 1, "mode": "slider", "unit_of_measurement": "%", "icon": "mdi:volume-medium"}
		all[at+"volume"] = number(d.Volume, 0)
	}
	s.put(all, id, object{"ids": []string{id}, "name": d.Name, "sa": in, "mf": "Tacet", "mdl": "loudspeaker"}, at+"presence", cmps)
	here := d.Presence == area.Online
	all[at+"presence"], all[at+"connected"] = pick(here, online, offline), pick(here, on, off)
	all[at+"busy"] = pick(d.State != nil && *d.State == "playing", on, off)
	all[at+"queue"] = strconv.Itoa(waiting)
	all[at+"announcing"] = pick(saying == "", "-", short(saying))
	all[at+"seen"] = seen(d.LastSeen)
}

// area adds the document and the states of an area. Whether it is busy its flag
// says, which dumb devices read, too.
func (s site) area(all map[string]string, a area.Area) {
	id, at, cmd := area.ShownObject+"area_"+string(a.ID), states+"area/"+string(a.ID)+"/", area.Root+"/area/"+string(a.ID)+"/cmd/"
	cmps := object{
		"busy":     sensor("binary_sensor", "Busy", area.FlagTopic(a.ID), object{"device_class": "sound", "payload_on": "1", "payload_off": "0"}),
		"queue":    sensor("sensor", "Queue", at+"queue", object{"icon": "mdi:tray-full"}),
		"announce": object{"p": "notify", "name": "Announce", "command_topic": cmd + "announce"},
		"chime":    s.siren(cmd),
		"stop":     button("Stop", cmd+"stop", "mdi:stop"),
	}
	s.put(all, id, object{"ids": []string{id}, "name": a.Name, "sa": a.Name, "mf": "Tacet", "mdl": "area"}, hubTopic, cmps)
	all[at+"queue"] = strconv.Itoa(len(a.Queue))
}

// put adds a discovery document.
func (s site) put(all map[string]string, id string, dev object, availability string, cmps object) {
	for key, c := range cmps {
		c.(object)["unique_id"] = id + "_" + key
	}
	doc := object{"dev": dev, "o": object{"name": "Tacet", "sw": s.version}, "avty_t": availability, "cmps": cmps, "qos": 1}
	b, err := json.Marshal(doc)
	if err != nil {
		panic("homeassistant: a document of our own does not encode: " + err.Error())
	}
	all[s.prefix+"/device/"+id+"/config"] = string(b)
}

func sensor(platform, name, topic string, more object) object {
	c := object{"p": platform, "name": name, "state_topic": topic}
	for k, v := range more {
		c[k] = v
	}
	return c
}

func button(name, topic, icon string) object {
	return object{"p": "button", "name": name, "command_topic": topic, "payload_press": "PRESS", "icon": icon}
}

// siren is the chimes: a tone is a chime's name.
func (s site) siren(cmd string) object {
	return object{"p": "siren", "name": "Chime", "command_topic": cmd + "chime", "available_tones": s.tones, "support_duration": true, "support_volume_set": true, "optimistic": true}
}

func pick(when bool, yes, no string) string {
	if when {
		return yes
	}
	return no
}

func number(n *int, otherwise int) string {
	if n != nil {
		otherwise = *n
	}
	return strconv.Itoa(otherwise)
}

// seen is when a device was heard last, to the minute, so that a word of it is not
// a message of ours.
func seen(t *area.Time) string {
	if t == nil {
		return "None" // as Home Assistant calls what is not known
	}
	return t.UTC().Truncate(time.Minute).Format(time.RFC3339)
}

func short(s string) string {
	if r := []rune(s); len(r) > maxState {
		return string(r[:maxState-1]) + "…"
	}
	return s
}
