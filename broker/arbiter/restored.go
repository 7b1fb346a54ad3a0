package arbiter

import (
	"fmt"
	"time"
)

// restoredLift is by how much a restored record's terms begin above the last one that
// is known: as if an arbiter had begun anew four thousand times since. What is beyond
// that the devices bring, which carry the highest term that they have seen (§8.18).
const restoredLift = 4096 * termStep

// longestWait is the longest that a restored record can have an area wait.
const longestWait = 24 * time.Hour

// Restored is the record of an arbiter, out of a backup, as the next arbiter may begin
// with it though others have granted since: its terms are above all that is known of,
// and no clean stop tells that no lease is alive. Later is a record of the same area
// that is newer, nil: there is none; its term, its longest lease and its holds count,
// since they may still be true. Wait is for how long at least nothing is to be granted,
// 0 to 24 h: the longest lease that may have been granted since; the configured lease
// is waited for anyway. Its error is a record that cannot be read.
func Restored(backup, later []byte, wait time.Duration) ([]byte, error) {
	r, err := parseRecord(backup)
	if err != nil {
		return nil, err
	}
	if wait < 0 || wait > longestWait {
		return nil, fmt.Errorf("arbiter: to wait for %s is not 0 to %s", wait, longestWait)
	}
	r.Clean = false
	if later != nil {
		l, err := parseRecord(later)
		if err != nil {
			return nil, fmt.Errorf("the newer one: %w", err)
		}
		r.Term, r.AliveMs, r.Token, r.Holds = max(r.Term, l.Term), max(r.AliveMs, l.AliveMs), max(r.Token, l.Token), l.Holds
	}
	r.Term = min(r.Term+restoredLift, max(r.Term, mostTerm-restoredLift))
	r.AliveMs = max(r.AliveMs, wait.Milliseconds())
	return r.encode(), nil
}
