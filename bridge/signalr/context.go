package signalr

import "context"

// HubContext is what a program outside of the hub's methods needs of a
// [Server]: to send, to ask, and to change groups. It is safe for concurrent use
// and may be handed to code that must not register methods.
type HubContext interface {
	// All is every connection.
	All() Target
	// AllExcept is every connection but those with the given ids.
	AllExcept(ids ...string) Target
	// Client is the connection with that id.
	Client(id string) Target
	// Clients is the connections with the given ids.
	Clients(ids ...string) Target
	// Group is the members of a group.
	Group(name string) Target
	// GroupExcept is the members of a group but the connections with the given
	// ids.
	GroupExcept(name string, ids ...string) Target
	// Groups is the members of all these groups, each once.
	Groups(names ...string) Target
	// User is the connections of a user ([Conn.User]).
	User(id string) Target
	// Users is the connections of all these users.
	Users(ids ...string) Target
	// Attribute is the connections that have an attribute with that value.
	Attribute(key, value string) Target

	// Conn returns a connection, to ask its client ([Conn.Invoke], [Ask]); nil
	// when there is none.
	Conn(id string) *Conn
	// Members lists a group.
	Members(group string) []*Conn
	// AddToGroup is [Conn.Join] for the connection with that id, of whichever node.
	AddToGroup(ctx context.Context, id, group string) error
	// RemoveFromGroup is [Conn.Leave] for the connection with that id.
	RemoveFromGroup(ctx context.Context, id, group string) error
}

var _ HubContext = (*Server)(nil)
