package servers

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
)

// mosquittoSettings let a benchmark in, and drop nothing that waits; else they
// are what Debian's Mosquitto does by default.
const mosquittoSettings = `listener %s 127.0.0.1
allow_anonymous true
user root
max_queued_messages 0
log_type error
`

func mosquittoConfig(dir, port string, keeps bool) (file string, err error) {
	text := fmt.Sprintf(mosquittoSettings, port)
	if keeps {
		text += "persistence true\npersistence_location " + dir + "/\n"
	}
	file = filepath.Clean(dir) + ".conf"
	return file, os.WriteFile(file, []byte(text), 0o600)
}

// hubSettings allow what the fault programs ask of one client.
const hubSettings = `limits:
  retained_per_device: 20000
  session_queue: 8192
  subscriptions_per_device: 1000
`

// hubConfig lies beside the data directory, not in it: what is in there is
// damaged, filled up and counted. fast takes away how much one client may send,
// for a benchmark that is one client.
func hubConfig(dir string, fast bool) (file string, err error) {
	file = filepath.Clean(dir) + ".yaml"
	text := hubSettings
	if fast {
		text += "  messages_per_second: 0\n"
	}
	return file, os.WriteFile(file, []byte(text), 0o600)
}

// freePort is one that nobody has now.
func freePort() string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "0"
	}
	defer l.Close()
	_, port, _ := net.SplitHostPort(l.Addr().String())
	return port
}
