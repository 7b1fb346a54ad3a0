// Package mapping says what the bridge makes of an MQTT message: readings of a
// sensor, its presence, things that happened at it, events for a hub group, or
// nothing.
//
// # Concepts
//
// A [Rule] names topics by a pattern ("hall/{area}/{metric}") and says what
// they carry. A level of a pattern is literal text, a capture "{name}", "+" or,
// in the last place, "#". The captures area, device, metric and channel say
// those things of a reading; any capture may stand in a template
// ("hall-{area}"). [Compile] makes a [Table] of the operator's rules and of the
// built-in ones.
//
// A convention is a way in which sensors speak by themselves, one file each:
// Home Assistant discovery (discovery.go, entity.go, abbreviation.go and
// expression.go), Homie 5, Sparkplug B, Zigbee2MQTT, Shelly's two generations,
// Tasmota, OpenMQTTGateway, rtl_433, Ruuvi, The Things Stack, ChirpStack,
// ThingsBoard and ESPHome; SenML is the format of a rule. Real messages of each,
// and what must come of them, are in testdata/vectors.
//
// A [Reader] reads messages, one after the other, and learns what sensors
// announce of themselves: [Reader.Read] is a function of the rules, of what was
// learnt, and of the message.
//
// # Who reads a topic
//
// The first of the operator's rules that matches and has a format; only where
// there is none, the first convention that claims the topic, in the order of the
// list above; only where there is none, a built-in rule. Each rule with a group
// that matches makes an event, beside that.
//
// # What becomes a reading
//
// A number, a boolean or a state. Names are made canonical ("tempc" is
// temperature); the unit is the one that the sensor declares, else the one that
// its convention documents, else the canonical one of the metric, else none.
// Values stay as they were sent; of a quantity in °C and in °F the former is
// kept. ON and OFF, true and false, open and closed, 1 and 0 of a two-state
// metric are booleans, the first of each pair true. Text where a number was
// promised is a value of bad quality. Null, NaN, infinity, lists and other text
// are no readings. What happens and does not last, a button that is pressed, is
// a [Moment].
//
// The templates of Home Assistant that are understood are fields of the payload
// with the filters float, int, round, default, multiply and is_defined. Of
// another the raw value is shown, and [Outcome].Obscure names what was not
// understood.
//
// # Bounds
//
// [MaxPayload], [MaxValues] and [MaxEvents] bound one message; what a Reader
// learns is bounded in number and in bytes. What is beyond is refused and
// counted, by [Reason].
//
// # What it does not do
//
// No I/O, no clock, no goroutine. It does not resolve areas: the text of an
// area goes on to the registry.
package mapping
