package host

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"strconv"

	"github.com/tacet-hub/tacet/broker/area"
	"github.com/tacet-hub/tacet/broker/store"
)

// drawer is what is owed and is on disk nowhere else, with the numbers of the
// messages, which grow over all starts: a record that the hub has already is then
// known by its number (see [area.SteadyN]).
type drawer struct {
	table   *store.Table
	numbers *store.Table
	log     *slog.Logger
	top     uint64 // numbers up to it may be in use, says the disk
}

// drawn is a message as it is on disk.
type drawn struct {
	Key   string     `json:"key,omitempty"`
	At    int64      `json:"at"` // ms since 1970: when it came about
	Trunk area.Trunk `json:"trunk"`
}

const (
	numberKey = "n"
	numbersBy = 4096 // are set aside at a time
)

// openDrawer reads what is owed, in its order, and the first number that is free.
func openDrawer(s *store.Store, log *slog.Logger) (d *drawer, list []drawn, err error) {
	d = &drawer{table: s.Table("owed"), numbers: s.Table("numbers"), log: log, top: area.SteadyN}
	err = d.table.Load(func(key string, value []byte) error {
		var one drawn
		if err := json.Unmarshal(value, &one); err != nil || one.Trunk.N == 0 {
			log.Error("what the hub is owed cannot be read", "n", key, "err", err)
			return nil
		}
		list = append(list, one) // the keys are numbers of one length
		d.top = max(d.top, one.Trunk.N)
		return nil
	})
	if err == nil {
		err = d.numbers.Load(func(_ string, value []byte) error {
			n, err := strconv.ParseUint(string(value), 10, 64)
			d.top = max(d.top, n)
			return err
		})
	}
	if err != nil {
		return nil, nil, fmt.Errorf("leader: %w", err)
	}
	return d, list, nil
}

// reserve sets numbers aside before they are used up.
func (d *drawer) reserve(n uint64) {
	if n+numbersBy/2 < d.top {
		return
	}
	d.top = n + numbersBy
	d.numbers.PutAsync(numberKey, strconv.AppendUint(nil, d.top, 10), d.saved)
}

func (d *drawer) put(n uint64, one drawn) { d.table.PutAsync(drawnKey(n), encode(one), d.saved) }

func (d *drawer) drop(n uint64) { d.table.DeleteAsync(drawnKey(n), d.saved) }

func (d *drawer) saved(err error) {
	if err != nil {
		d.log.Error("not kept what the hub is owed", "err", err)
	}
}

func drawnKey(n uint64) string { return fmt.Sprintf("%016x", n) }
