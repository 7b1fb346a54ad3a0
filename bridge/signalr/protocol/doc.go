// Package protocol reads and writes the messages of the SignalR hub protocol:
// the handshake and the nine message types, in both encodings.
//
// # Concepts
//
// A connection is a stream of records; the edges of the frames or requests that
// carried the bytes mean nothing. [Splitter] cuts the stream into records and
// holds the size limit before it keeps anything. The first record is the
// [Handshake], which is JSON followed by [Separator] whatever comes after it; it
// names the [Codec] of the rest. [JSON] has the separator behind each record,
// [MessagePack] has its length before it. Each later record is a [Message].
//
// What is wrong with a record is an error that wraps [ErrInvalid] or is
// [ErrTooLarge]; its text is fit for the client. Nesting ([MaxDepth]) and the
// counts of arrays and maps are checked against the bytes that are there before
// anything is decoded or allocated. A message of an unknown numeric type is no
// error: its [Message.Type] says so, and a receiver ignores it (HubProtocol.md,
// forward compatibility).
//
// # Values
//
// Arguments, items and results are [Value]s: Go values to be written, or bytes
// as they came. One Value can be written in both encodings, so that what a
// client sends by one reaches clients of the other:
//
//	Go, MessagePack           JSON
//	[]byte, bin               base64 text
//	time.Time, timestamp      RFC 3339 text
//	integers up to 64 bits    the same digits; also json.Number
//	float NaN, infinity       null, when it came by MessagePack; else an error
//	map with keys of any kind keys as text
//	other extension types     base64 text of their data
//
// The other way, JSON text is never guessed to be bytes or a time. What came and
// goes by the same encoding is not decoded at all. Structs have the members that
// encoding/json gives them, in both encodings.
//
// # What it does not do
//
// No I/O, no goroutine, no state of a connection.
package protocol
