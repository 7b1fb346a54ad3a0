package hubd

import (
	"log/slog"
	"sync"
	"sync/atomic"
	"time"
)

// refusalsPerSecond bounds the log lines about refusals; what is over is counted
// alone.
const refusalsPerSecond = 20

// audit counts and logs who signed in and who was refused: each once, from where
// and about whom, never with what was shown. Devices are the broker's, and the
// changes of who may do what the API's.
type audit struct {
	log *slog.Logger
	now func() time.Time

	signIns, signInsRefused, signOuts, tokensRefused, unlogged atomic.Uint64

	mu     sync.Mutex
	second int64 // Unix
	lines  int   // about refusals in it
}

// signInStats is what was counted since the start, but for those that say "now".
type signInStats struct {
	SignIns          uint64 // at the dashboard
	SignInsRefused   uint64
	SignOuts         uint64
	TokensRefused    uint64 // bearer tokens of REST and hub
	Sessions         int    // of the dashboard, now
	SessionsDropped  uint64 // ended early, for newer ones
	RefusalsUnlogged uint64 // over 20 a second
}

func (h *Hub) signInStats() signInStats {
	n, dropped := h.who.sessions.count()
	a := h.audit
	return signInStats{
		SignIns: a.signIns.Load(), SignInsRefused: a.signInsRefused.Load(), SignOuts: a.signOuts.Load(), TokensRefused: a.tokensRefused.Load(),
		Sessions: n, SessionsDropped: dropped, RefusalsUnlogged: a.unlogged.Load(),
	}
}

func (a *audit) signedIn(source, name string) {
	a.signIns.Add(1)
	a.log.Info("signed in", "conn", source, "who", name)
}

func (a *audit) signedOut(source, name string) {
	a.signOuts.Add(1)
	a.log.Info("signed out", "conn", source, "who", name)
}

// signInRefused notes that somebody was refused, whoever he said that he was.
func (a *audit) signInRefused(source, name string, err error) {
	a.signInsRefused.Add(1)
	if a.room() {
		a.log.Warn("sign-in refused", "conn", source, "who", short(name), "err", err)
	}
}

// tokenRefused notes that a token was refused; whose it was is not known.
func (a *audit) tokenRefused(source string, err error) {
	a.tokensRefused.Add(1)
	if a.room() {
		a.log.Warn("token refused", "conn", source, "err", err)
	}
}

// room tells whether one more line may be written in this second, and counts
// those that may not.
func (a *audit) room() bool {
	now := a.now().Unix()
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.second != now {
		a.second, a.lines = now, 0
	}
	if a.lines++; a.lines > refusalsPerSecond {
		a.unlogged.Add(1)
		return false
	}
	return true
}

// maxShown bounds what is shown of a name that a stranger sent, in bytes.
const maxShown = 64

func short(s string) string {
	if len(s) > maxShown {
		return s[:maxShown]
	}
	return s
}
