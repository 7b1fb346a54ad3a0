package signalrtest

import (
	"encoding/json"
	"strings"

	"github.com/tacet-hub/tacet/bridge/signalr/protocol"
)

// Answer sets what answers the server's questions to a method; case does not
// count, nil removes it. It runs beside everything else. Without one the client
// answers "Client didn't provide a result.", as the vendor's do.
func (c *Client) Answer(method string, f func(args []json.RawMessage) (any, error)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.answers == nil {
		c.answers = make(map[string]func([]json.RawMessage) (any, error))
	}
	c.answers[strings.ToLower(method)] = f
}

// asked answers a question.
func (c *Client) asked(m protocol.Message) {
	c.mu.Lock()
	f := c.answers[strings.ToLower(m.Target)]
	c.mu.Unlock()
	reply := protocol.Message{Type: protocol.Completion, ID: m.ID, Failed: true, Error: "Client didn't provide a result."}
	if f != nil {
		result, err := f(texts(m.Args))
		if err != nil {
			reply.Error = err.Error()
		} else {
			reply.Failed, reply.Error, reply.Result = false, "", protocol.Of(result)
		}
	}
	_ = c.post(&reply) // an error means that the connection is ending
}
