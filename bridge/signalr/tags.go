package signalr

import (
	"maps"
	"sync"
)

// tag is something by which connections are found: their user, or an attribute.
type tag struct {
	user       bool // value is the id of a user
	key, value string
}

func userTag(id string) tag { return tag{user: true, value: id} }

// tags finds connections by user and by attribute.
type tags struct {
	want    func(topic string, on bool) // told of users who get their first and lose their last connection; nil: nobody wants to know
	changed func(id string)             // told of connections whose attributes have changed

	mu    sync.RWMutex
	conns map[tag]map[*Conn]struct{}
}

// enter makes a connection known under its user, unless it has left already.
func (t *tags) enter(c *Conn, user string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if user != "" && !c.untagged {
		c.user = user
		t.add(userTag(user), c)
	}
}

// leave forgets a connection.
func (t *tags) leave(c *Conn) {
	t.mu.Lock()
	defer t.mu.Unlock()
	c.untagged = true
	for key, value := range c.attributes {
		t.remove(tag{key: key, value: value}, c)
	}
	if c.user != "" {
		t.remove(userTag(c.user), c)
	}
}

// set gives a connection an attribute; an empty value takes it away.
func (t *tags) set(c *Conn, key, value string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if c.untagged {
		return
	}
	defer t.changed(c.id)
	if old, ok := c.attributes[key]; ok {
		t.remove(tag{key: key, value: old}, c)
		delete(c.attributes, key)
	}
	if value == "" {
		return
	}
	if c.attributes == nil {
		c.attributes = make(map[string]string)
	}
	c.attributes[key] = value
	t.add(tag{key: key, value: value}, c)
}

func (t *tags) add(g tag, c *Conn) {
	set := t.conns[g]
	if set == nil {
		if t.conns == nil {
			t.conns = make(map[tag]map[*Conn]struct{})
		}
		set = make(map[*Conn]struct{}, 1)
		t.conns[g] = set
		t.tell(g, true)
	}
	set[c] = struct{}{}
}

func (t *tags) remove(g tag, c *Conn) {
	set := t.conns[g]
	if delete(set, c); set != nil && len(set) == 0 {
		delete(t.conns, g)
		t.tell(g, false)
	}
}

func (t *tags) tell(g tag, on bool) {
	if g.user && t.want != nil {
		t.want(userTopic(g.value), on)
	}
}

// find lists the connections with a tag, in no order.
func (t *tags) find(g tag) []*Conn {
	t.mu.RLock()
	defer t.mu.RUnlock()
	list := make([]*Conn, 0, len(t.conns[g]))
	for c := range t.conns[g] {
		list = append(list, c)
	}
	return list
}

// SetAttribute gives the connection an attribute by which it can be found; see
// [Server.Attribute]. An empty value takes it away.
func (c *Conn) SetAttribute(key, value string) { c.s.tags.set(c, key, value) }

// Attribute returns an attribute; empty when there is none.
func (c *Conn) Attribute(key string) string {
	c.s.tags.mu.RLock()
	defer c.s.tags.mu.RUnlock()
	return c.attributes[key]
}

// Attributes returns a copy of all attributes.
func (c *Conn) Attributes() map[string]string {
	c.s.tags.mu.RLock()
	defer c.s.tags.mu.RUnlock()
	return maps.Clone(c.attributes)
}
