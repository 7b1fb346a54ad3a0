// Package protocol reads and writes the messages of the SignalR hub protocol:
// the handshake and the nine message types, in their JSON encoding.
//
// # Concepts
//
// A connection is a stream of records. In the JSON encoding a record is one
// JSON object followed by [Separator]; the edges of the frames or requests
// that carried the bytes mean nothing. [Splitter] cuts the stream into records
// and holds the size limit before it allocates. The first record is the
// [Handshake]; each later one is a [Message], read by [Parse].
//
// What is wrong with a record is an error that wraps [ErrInvalid] or is
// [ErrTooLarge]; its text is fit for the client. A message of an unknown
// numeric type is no error: its [Message.Type] says so, and a receiver ignores
// it (HubProtocol.md, forward compatibility).
//
// The append functions write what a server or a client sends. They take Go
// values for arguments and results, so that one value can be encoded by
// several encodings.
//
// # What it does not do
//
// No I/O, no goroutine, no state of a connection, no MessagePack.
package protocol
