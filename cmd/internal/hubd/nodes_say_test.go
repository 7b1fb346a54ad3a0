package hubd

import (
	"runtime"
	"sync"
	"testing"
)

// TestSayIsTheNewest: of two that find out at the same time whether this node has the say
// the one counts that has looked later.
func TestSayIsTheNewest(t *testing.T) {
	var s say
	var tasks sync.WaitGroup
	noted := make(chan struct{})
	tasks.Go(func() {
		s.judge(func() bool {
			tasks.Go(func() {
				s.judge(func() bool { return false })
				close(noted)
			})
			for range 1000 { // he is let go first, if he goes
				select {
				case <-noted:
				default:
					runtime.Gosched()
				}
			}
			return true
		})
	})
	tasks.Wait()
	if s.has() {
		t.Error("this node has the say by what was so before")
	}
}
