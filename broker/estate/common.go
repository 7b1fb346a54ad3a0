package estate

import "context"

// Name is the place of a record in the store of its node.
type Name struct{ Table, Key string }

// Record is one of a node's; without a value there is none.
type Record struct {
	Name
	Value []byte
}

// Claim says which node has taken a session over from one that was down.
type Claim struct {
	By   string // node
	At   int64  // when, in microseconds since 1970, by its clock
	Done bool   // the session is in that node's own copy, or has ended there
}

// Same tells whether two are one claim, done or not.
func (c Claim) Same(other Claim) bool { return c.By == other.By && c.At == other.At }

// Common is what the nodes have in common. It is safe for concurrent use; every method
// blocks for it, and fails where it cannot be reached.
type Common interface {
	// Write changes records of a node, all or none, and answers the mark that its copy
	// has: another than that of Begin, or none, is that the copy was lost.
	Write(ctx context.Context, node string, list []Record) (mark string, err error)
	// Begin marks a node's copy as whole, and the node as one that has one.
	Begin(ctx context.Context, node, mark string) error
	// Names are those of all records of a node.
	Names(ctx context.Context, node string) ([]Name, error)
	// Read calls each with every record of a node; one that changes meanwhile may be
	// left out, or come twice.
	Read(ctx context.Context, node string, each func(Record)) error
	// Version is another one after each Write of a node; empty: it has no whole copy.
	Version(ctx context.Context, node string) (string, error)
	// Nodes are those that have a copy.
	Nodes(ctx context.Context) ([]string, error)
	// Drop deletes a node's copy. Its claims stay.
	Drop(ctx context.Context, node string) error

	// Claim puts a claim on the session of a client of a node where there is none, or
	// that of instead, and answers the one that is there then.
	Claim(ctx context.Context, node, client string, c Claim, instead string) (Claim, error)
	// Settle marks claims as done, those that are still there: who had the session may
	// have disclaimed one meanwhile.
	Settle(ctx context.Context, node string, claims map[string]Claim) error
	// Claims are those on a node's sessions, by client.
	Claims(ctx context.Context, node string) (map[string]Claim, error)
	// Disclaim deletes claims.
	Disclaim(ctx context.Context, node string, clients []string) error
}
