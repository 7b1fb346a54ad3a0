package bridge

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tacet-hub/tacet/broker/area"
)

// ordered is an order in an area with so many steps behind it.
func ordered(id area.WorkID, in area.Name, state area.OrderState, steps int) area.Order {
	return area.Order{ID: id, Area: in, State: state, History: make([]area.OrderStep, steps)}
}

func brief(list []area.Order) string {
	var all []string
	for _, o := range list {
		all = append(all, fmt.Sprint(o.ID, " ", o.State))
	}
	return strings.Join(all, ", ")
}

// TestStreamOrders: what is open comes first, then what changes; a change that is
// older than the list is left out, and of what changes too fast the newest comes.
func TestStreamOrders(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, newBus())
		var s spectator[area.Order]
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		fits := func(o area.Order) bool { return o.Area == "north" }
		open := func() ([]area.Order, error) {
			w.desk.put(ordered("o-2", "north", area.OrderWaiting, 2)) // before the list was made
			w.desk.put(ordered("o-9", "north", area.OrderPlayed, 6))  // and so has its end
			return []area.Order{ordered("o-1", "north", area.OrderPlaying, 5), ordered("o-3", "south", area.OrderPlaying, 5), ordered("o-2", "north", area.OrderOffered, 3)}, nil
		}
		go func() { ended <- w.view.StreamOrders(ctx, fits, open, s.send) }()
		time.Sleep(time.Second)
		synctest.Wait()
		w.desk.put(ordered("o-3", "south", area.OrderPlayed, 6))
		for i := range 20 {
			w.desk.put(ordered("o-4", "north", area.OrderWaiting, 1+i))
		}
		w.desk.put(ordered("o-1", "north", area.OrderPlayed, 6))
		w.desk.put(ordered("o-4", "north", area.OrderCancelled, 21))
		time.Sleep(time.Second)
		synctest.Wait()
		const first = "o-1 playing, o-2 offered, o-9 played, "
		if got := brief(s.list()); !slices.Contains([]string{ // one of o-4 may be on its way while others come
			first + "o-4 cancelled, o-1 played", first + "o-4 waiting, o-4 cancelled, o-1 played", first + "o-4 waiting, o-1 played, o-4 cancelled",
		}, got) {
			t.Errorf("got %s", got)
		}
		if out := w.view.Stats().OrdersSampled; out < 19 {
			t.Errorf("%d changes are counted as left out", out)
		}
		stop()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Errorf("ended with %v", err)
		}
		w.close()
	})
}

// TestStreamOrdersTellsOfAGap: a stream that is not read ends with an error before
// an order's end is left out.
func TestStreamOrdersTellsOfAGap(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, newBus())
		ended, stuck := make(chan error, 1), make(chan struct{})
		none := func() ([]area.Order, error) { return nil, nil }
		all := func(area.Order) bool { return true }
		go func() {
			ended <- w.view.StreamOrders(t.Context(), all, none, func(area.Order) error { <-stuck; return nil })
		}()
		synctest.Wait()
		for i := range viewKeys + 2 {
			w.desk.put(ordered(area.WorkID(fmt.Sprint("o-", i)), "north", area.OrderPlayed, 6))
		}
		synctest.Wait()
		close(stuck)
		if err := <-ended; area.CodeOf(err) != area.CodeRate {
			t.Errorf("ended with %v", err)
		}
		for range viewsMost {
			go func() { _ = w.view.StreamOrders(t.Context(), all, none, func(area.Order) error { return nil }) }()
		}
		synctest.Wait()
		if err := w.view.StreamOrders(t.Context(), all, none, nil); area.CodeOf(err) != area.CodeRate {
			t.Errorf("one too many: %v", err)
		}
		gone := errors.New("disk")
		if err := (&View{ViewParts: w.view.ViewParts}).StreamOrders(t.Context(), all, func() ([]area.Order, error) { return nil, gone }, nil); !errors.Is(err, gone) {
			t.Errorf("a list that fails: %v", err)
		}
	})
}
