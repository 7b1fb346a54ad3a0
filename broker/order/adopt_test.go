package order

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/tacet-hub/tacet/broker/area"
)

// foreignOrder is an order for north that a leader had accepted.
func foreignOrder(id area.WorkID, state area.OrderState) area.Order {
	north, now := "north", area.At(time.Now())
	o := area.Order{ID: id, To: area.To{Area: &north}, Area: "north", Kind: "announce", Priority: area.Normal, Repeat: 1, Redo: area.RedoRetry, IfBusy: area.BusyQueue,
		State: state, Attempt: 1, CreatedAt: now, ExpiresAt: area.At(time.Now().Add(time.Minute)), Languages: []string{}, History: []area.OrderStep{}}
	if state.Ended() {
		o.EndedAt = &now
	}
	return o
}

func (b *bench) adopt(t *testing.T, o area.Order, r area.Report) (err error) {
	t.Helper()
	answer := make(chan error, 1)
	b.Adopt(o, r, func(err error) { answer <- err })
	synctest.Wait()
	select {
	case err = <-answer:
	default:
		t.Fatalf("%s is not answered", o.ID)
	}
	return err
}

func TestOrdersOfALeaderAreAdoptedOnce(t *testing.T) {
	running(t, Config{MaxLive: 2}, func(t *testing.T, b *bench) {
		time.Sleep(time.Minute)
		played := area.Report{Work: "o-1", Area: "north", State: area.OrderPlayed, Device: "gate-1", Att: 1, Ago: time.Minute}
		for range 2 {
			if err := b.adopt(t, foreignOrder("o-1", area.OrderPlayed), played); err != nil {
				t.Fatal(err)
			}
		}
		if o, err := b.Get("o-1"); err != nil || o.State != area.OrderPlayed {
			t.Errorf("o-1 is %+v, %v", o, err)
		}
		if n := b.Stats().Adopted; n != 1 {
			t.Errorf("%d adopted, want 1", n)
		}
		// One that has no end is handed to the dispatcher, and ends by its report, at the time that it tells of.
		waits := area.Report{Work: "o-2", Area: "north", State: area.OrderWaiting, Att: 1}
		if err := b.adopt(t, foreignOrder("o-2", area.OrderWaiting), waits); err != nil {
			t.Fatal(err)
		}
		if w := b.desk.submitted(); len(w) != 1 || w[0].ID != "o-2" {
			t.Errorf("handed over: %+v", w)
		}
		end := waits
		end.State, end.Ago = area.OrderPlayed, 10*time.Second
		if err := b.adopt(t, foreignOrder("o-2", area.OrderWaiting), end); err != nil {
			t.Fatal(err)
		}
		if o, _ := b.Get("o-2"); o.State != area.OrderPlayed || !o.EndedAt.Equal(area.At(time.Now().Add(-10*time.Second)).Time) {
			t.Errorf("o-2 is %+v", o)
		}
		for _, id := range []area.WorkID{"o-3", "o-4"} {
			if err := b.adopt(t, foreignOrder(id, area.OrderWaiting), area.Report{Work: id, State: area.OrderWaiting}); err != nil {
				t.Fatal(err)
			}
		}
		if err := b.adopt(t, foreignOrder("o-5", area.OrderWaiting), area.Report{Work: "o-5", State: area.OrderWaiting}); area.CodeOf(err) != area.CodeRate {
			t.Errorf("one too many: %v", err)
		}
		if err := b.adopt(t, foreignOrder("o-6", area.OrderWaiting), area.Report{Work: "o-7"}); area.CodeOf(err) != area.CodeInvalid {
			t.Errorf("the report of another: %v", err)
		}
	})
}
