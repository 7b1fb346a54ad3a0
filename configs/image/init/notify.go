package main

import (
	"net"
	"os"
	"strings"
)

const notifyPath = "/run/notify"

// notify hears what the device says of itself, as sd_notify(3) has it.
type notify struct {
	conn *net.UnixConn
	said chan message // a full one drops: the next is as good
}

// message is one of its words.
type message struct {
	ready, alive bool
	status       string // empty: it did not say
}

func newNotify(path string) (*notify, error) {
	_ = os.Remove(path)
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		return nil, err
	}
	return &notify{conn: conn, said: make(chan message, 16)}, nil
}

// run hears until the socket is closed.
func (n *notify) run() {
	b := make([]byte, 4096)
	for {
		size, err := n.conn.Read(b)
		if err != nil {
			return
		}
		select {
		case n.said <- parseMessage(string(b[:size])):
		default:
		}
	}
}

func parseMessage(text string) message {
	var m message
	for line := range strings.Lines(text) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), "=")
		switch key {
		case "READY":
			m.ready = value == "1"
		case "WATCHDOG":
			m.alive = value == "1"
		case "STATUS":
			m.status = value
		}
	}
	return m
}
