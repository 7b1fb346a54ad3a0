// Package mapping says what the bridge makes of an MQTT message: readings of a
// sensor, events for a hub group, or nothing.
//
// # Concepts
//
// A [Rule] names topics by a pattern ("hall/{area}/{metric}") and says what
// they carry. A level of a pattern is literal text, a capture "{name}", "+" or,
// in the last place, "#". The captures area, device, metric and channel say
// those things of a reading; any capture may stand in a template
// ("hall-{area}").
//
// [Compile] makes a [Table] of the operator's rules and of the built-in ones.
// [Table.Apply] is a pure function of topic and payload: values, events and a
// count of what was refused, by [Reason].
//
// Which rule makes the readings of a topic: the first in the operator's order
// that matches and has a format; only where there is none, a built-in one. Each
// rule with a group that matches makes an event, beside the readings.
//
// # What becomes a reading
//
// Format raw: the payload is one value. Format json: with fields, the named
// paths; without, every leaf that is a number, a boolean or the text of a
// state. Names are made canonical ("tempc" is temperature) and have their
// canonical unit. ON and OFF, true and false, open and closed, 1 and 0 of a
// two-state metric are booleans, the first of each pair true. Text where a
// number was promised is a value of bad quality. Null, NaN, infinity, lists and
// other text are no readings.
//
// # What it does not do
//
// No I/O, no clock, no goroutine. It does not resolve areas: the text of a
// capture goes on to the registry. It knows no sensor conventions but those of
// the built-in rules.
package mapping
