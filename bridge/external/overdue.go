package external

import (
	"context"
	"crypto/rand"
	"sync/atomic"
	"time"

	"github.com/eclipse/paho.golang/paho"

	"github.com/tacet-hub/tacet/broker/area"
)

// How long we may be away until what the broker kept for us is old news, and how
// long it may take to hand that over.
const (
	lateAfter = time.Minute
	lateMost  = 30 * time.Second
)

// overdue tells of messages that the broker kept in our session while we were away for
// long: when they were said nobody knows. They end with a mark of ours, which the
// broker sends back behind them. It is safe for concurrent use.
type overdue struct {
	topic string       // of the mark; empty: nothing is ever late
	until atomic.Int64 // Unix nanoseconds; what comes before is late
	mark  atomic.Pointer[string]
}

// begin says that a connection is being opened, after the broker was last heard at
// heard.
func (l *overdue) begin(heard time.Time) {
	if l.topic != "" && time.Since(heard) > lateAfter {
		l.until.Store(time.Now().Add(lateMost).UnixNano())
	}
}

// end has the mark sent, where the broker had a session of ours.
func (l *overdue) end(ctx context.Context, client *paho.Client, session bool) {
	if l.until.Load() == 0 {
		return
	}
	mark := rand.Text()
	l.mark.Store(&mark)
	if !session {
		l.until.Store(0)
		return
	}
	if _, err := client.Publish(ctx, &paho.Publish{Topic: l.topic, QoS: 1, Payload: []byte(mark)}); err != nil {
		l.until.Store(0) // it may not pass here: nothing is told apart
	}
}

// isMark takes the mark out of what comes.
func (l *overdue) isMark(p *paho.Publish) bool {
	if l.topic == "" || p.Topic != l.topic {
		return false
	}
	if mark := l.mark.Load(); mark != nil && *mark == string(p.Payload) {
		l.until.Store(0)
	}
	return true
}

// is tells whether a message on a topic is late. What is ours has numbers of its own
// that tell.
func (l *overdue) is(topic string) bool {
	if l.until.Load() <= time.Now().UnixNano() {
		return false
	}
	kind := area.ParseTopic(topic).Kind
	return kind == area.KindForeign || kind == area.KindTele || kind == area.KindEvent
}
