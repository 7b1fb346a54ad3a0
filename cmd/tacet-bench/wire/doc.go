// Package wire is a lean MQTT client for measuring brokers: packets are
// appended to a buffer of the caller's, so that many go out in one write, and
// are read in place, so that nothing is allocated for one that comes.
//
// # Concepts
//
// A [Version] encodes packets. A [Conn] is a connection that has had its
// CONNACK; [Conn.Next] gives packet after packet, and [Conn.More] tells whether
// the next one is here already, which is how acknowledgements are batched.
//
// # What it does not do
//
// It answers nothing by itself: no acknowledgement, no ping. It knows no
// properties but those that it sends, and skips those that come. It trusts what
// it is told to encode.
package wire
