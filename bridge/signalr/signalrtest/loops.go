package signalrtest

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"strings"
	"time"

	"github.com/tacet-hub/tacet/bridge/signalr/protocol"
)

// maxEvents bounds the events that wait for their handlers.
const maxEvents = 100_000

// read is the reader's goroutine.
func (c *Client) read() {
	defer close(c.done)
	defer func() { _ = c.link.Close() }()
	for {
		c.watch()
		if err := c.receive(c.record); err != nil {
			if !c.ending() && c.link.resume(err) {
				c.split.Reset() // the server sends whole messages again
				continue
			}
			if errors.Is(err, io.EOF) {
				err = ErrClosed
			}
			c.end(err)
			return
		}
	}
}

func (c *Client) ending() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.ended
}

// watch arms the server's timeout, unless the client is ending.
func (c *Client) watch() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ended {
		return
	}
	var deadline time.Time
	if c.opts.ServerTimeout > 0 {
		deadline = time.Now().Add(c.opts.ServerTimeout)
	}
	_ = c.link.SetReadDeadline(deadline)
}

func (c *Client) record(b []byte) error {
	m, err := c.link.codec.Parse(bytes.Clone(b)) // arguments outlive the buffer
	if err != nil {
		return err
	}
	if !c.link.accept(m) {
		return nil
	}
	switch m.Type {
	case protocol.Invocation:
		if m.ID != "" {
			c.tasks.Go(func() { c.asked(m) })
			return nil
		}
		return c.event(m)
	case protocol.StreamItem:
		c.streamed(m)
	case protocol.Completion:
		if !c.streamed(m) {
			c.complete(m)
		}
	case protocol.Close:
		c.end(&CloseError{m.Error, m.AllowReconnect})
		return io.EOF
	}
	return nil
}

func (c *Client) complete(m protocol.Message) {
	c.mu.Lock()
	answer := c.calls[m.ID]
	delete(c.calls, m.ID)
	c.mu.Unlock()
	if answer != nil {
		answer <- m
	}
}

// event queues an event for its handler.
func (c *Client) event(m protocol.Message) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.events) >= maxEvents {
		return ErrOverflow
	}
	c.events = append(c.events, m)
	c.arrived.Signal()
	return nil
}

// handle runs the handlers, in order; what came before the end is handled.
func (c *Client) handle() {
	for {
		batch := c.next()
		if batch == nil {
			return
		}
		for _, m := range batch {
			c.mu.Lock()
			f := c.handlers[strings.ToLower(m.Target)]
			c.mu.Unlock()
			if f != nil {
				f(texts(m.Args))
			}
		}
	}
}

// texts gives values as JSON.
func texts(values []protocol.Value) []json.RawMessage {
	list := make([]json.RawMessage, len(values))
	for i, v := range values {
		list[i] = v.JSON()
	}
	return list
}

// next waits for events; nil is the end.
func (c *Client) next() []protocol.Message {
	c.mu.Lock()
	defer c.mu.Unlock()
	for len(c.events) == 0 && !c.ended {
		c.arrived.Wait()
	}
	batch := c.events
	c.events = nil
	return batch
}

// ping tells the server now and then that the client lives.
func (c *Client) ping() {
	if c.opts.PingInterval < 0 {
		return
	}
	tick := time.NewTicker(c.opts.PingInterval)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			if c.post(&protocol.Message{Type: protocol.Ping}) != nil {
				return // the reader finds out why
			}
		case <-c.done:
			return
		}
	}
}
