package estate

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strconv"
	"sync"
)

// ErrAway is that of a [Memory] that is away.
var ErrAway = errors.New("estate: the common copy cannot be reached")

// Memory is a [Common] of nodes of one process. Its zero value is empty.
type Memory struct {
	mu    sync.Mutex
	away  bool
	nodes map[string]*left
}

// left is what one node would leave.
type left struct {
	mark    string
	changes int
	records map[Name][]byte
	claims  map[string]Claim
}

// Away has it not answer, or answer again.
func (x *Memory) Away(away bool) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.away = away
}

// Empty forgets everything.
func (x *Memory) Empty() {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.nodes = nil
}

func (x *Memory) with(node string, do func(*left)) error {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.away {
		return ErrAway
	}
	if x.nodes == nil {
		x.nodes = map[string]*left{}
	}
	n := x.nodes[node]
	if n == nil {
		n = &left{records: map[Name][]byte{}, claims: map[string]Claim{}}
		x.nodes[node] = n
	}
	do(n)
	return nil
}

// Write implements [Common], as do those that follow.
func (x *Memory) Write(_ context.Context, node string, list []Record) (mark string, err error) {
	err = x.with(node, func(n *left) {
		for _, r := range list {
			if n.records[r.Name] = slices.Clone(r.Value); r.Value == nil {
				delete(n.records, r.Name)
			}
		}
		n.changes++
		mark = n.mark
	})
	return mark, err
}

// Begin marks a copy as whole.
func (x *Memory) Begin(_ context.Context, node, mark string) error {
	return x.with(node, func(n *left) { n.mark = mark })
}

// Names are those of all records.
func (x *Memory) Names(_ context.Context, node string) (names []Name, err error) {
	err = x.with(node, func(n *left) { names = slices.Collect(maps.Keys(n.records)) })
	return names, err
}

// Read calls each with every record.
func (x *Memory) Read(_ context.Context, node string, each func(Record)) error {
	var list map[Name][]byte
	err := x.with(node, func(n *left) { list = maps.Clone(n.records) })
	for name, value := range list {
		each(Record{name, value})
	}
	return err
}

// Version is another one after each Write.
func (x *Memory) Version(_ context.Context, node string) (v string, err error) {
	err = x.with(node, func(n *left) {
		if n.mark != "" {
			v = n.mark + " " + strconv.Itoa(n.changes)
		}
	})
	return v, err
}

// Nodes are those that have a copy.
func (x *Memory) Nodes(context.Context) (names []string, err error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.away {
		return nil, ErrAway
	}
	for name, n := range x.nodes {
		if n.mark != "" {
			names = append(names, name)
		}
	}
	return names, nil
}

// Drop deletes a copy.
func (x *Memory) Drop(_ context.Context, node string) error {
	return x.with(node, func(n *left) { n.records, n.mark = map[Name][]byte{}, "" })
}

// Claim puts a claim where there is none, or that of instead.
func (x *Memory) Claim(_ context.Context, node, client string, c Claim, instead string) (is Claim, err error) {
	err = x.with(node, func(n *left) {
		if old, there := n.claims[client]; !there || old.By == instead {
			n.claims[client] = c
		}
		is = n.claims[client]
	})
	return is, err
}

// Settle marks claims as done that are still there.
func (x *Memory) Settle(_ context.Context, node string, claims map[string]Claim) error {
	return x.with(node, func(n *left) {
		for client, c := range claims {
			if is, there := n.claims[client]; there && is.Same(c) {
				n.claims[client] = c
			}
		}
	})
}

// Claims are those on a node's sessions.
func (x *Memory) Claims(_ context.Context, node string) (claims map[string]Claim, err error) {
	err = x.with(node, func(n *left) { claims = maps.Clone(n.claims) })
	return claims, err
}

// Disclaim deletes claims.
func (x *Memory) Disclaim(_ context.Context, node string, clients []string) error {
	return x.with(node, func(n *left) {
		for _, client := range clients {
			delete(n.claims, client)
		}
	})
}
