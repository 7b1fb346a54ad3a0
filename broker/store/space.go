package store

import (
	"errors"
	"os"
	"syscall"

	bolt "go.etcd.io/bbolt"
)

const (
	spaceStep = 256 << 10 // the file grows by so much at least, as there is room
	spaceMost = 4 << 20   // and by so much at most, beyond what is needed
	spaceLow  = 128 << 10 // less than this beyond what is needed is a full disk: it is left to the ledger
)

// space sees to it that a transaction finds room. bbolt extends the file
// without having room for it, and would find out in the middle of writing. So
// blocks are reserved before: as many as the group can need at the most, and a
// little more, so that the end is seen before anything has to be refused.
type space struct {
	file     *os.File
	reserved int64 // bytes from the start that have blocks
	cannot   bool  // the file system knows no reservation: bbolt finds out by itself
}

// reserve makes room for a group. Its error wraps ENOSPC where there is none.
func (s *space) reserve(db *bolt.DB, g *group) error {
	u, err := usageOf(db)
	if err != nil {
		return err
	}
	return s.upTo(u.high+u.need(g), u.high)
}

// room is what the committer wants to know of the file system.
type room struct {
	ahead func() (slack int64, err error) // reserves for the next group; answers what is reserved and not in use
	left  func() int64                    // bytes that the file system has left
}

// What a group is taken to need, before it is known: see usage.need.
const (
	groupWeight = 40 << 12 // of itself
	joinWeight  = 5 << 10  // for each record
)

// ahead looks whether the next group will find room.
func (s *space) ahead(db *bolt.DB) (slack int64, err error) {
	u, err := usageOf(db)
	if err != nil {
		return 0, err
	}
	err = s.upTo(u.high+spaceLow, u.high)
	return max(0, s.reserved-u.high), err
}

// upTo reserves up to want bytes, and a stretch beyond if that goes.
func (s *space) upTo(want, high int64) error {
	if s.cannot || want <= s.reserved {
		return nil
	}
	ahead := min(max(high/8, spaceStep), spaceMost)
	var err error
	for _, to := range []int64{want + ahead, want} {
		if err = allocate(s.file, to); err == nil {
			s.reserved = to
			return nil
		}
		if !errors.Is(err, syscall.ENOSPC) {
			break
		}
	}
	if errors.Is(err, syscall.EOPNOTSUPP) || errors.Is(err, syscall.ENOSYS) || errors.Is(err, errors.ErrUnsupported) {
		s.cannot = true
		return nil
	}
	return &os.PathError{Op: "reserve", Path: s.file.Name(), Err: err}
}

// usage is how a file is filled.
type usage struct {
	high int64 // where the pages in use end
	free int   // pages before that which are not in use
	page int64 // bytes of one
}

func usageOf(db *bolt.DB) (u usage, err error) {
	err = db.View(func(tx *bolt.Tx) error {
		u.high = tx.Size()
		return nil
	})
	st := db.Stats()
	u.free, u.page = st.FreePageN+st.PendingPageN, int64(db.Info().PageSize)
	return u, err
}

// need is the most that writing a group can add to the file: the pages that its
// records take, a copy of each page that has one of them, and those on the way
// to it.
func (u usage) need(g *group) int64 {
	var large, small int64
	for p, ch := range g.changes {
		if n := int64(len(ch.record) + len(p.key)); n > u.page/4 {
			large += n + u.page // it wants pages in a row, which free ones need not be
		}
		small++
	}
	pages := small + small/4 + 32
	return large + max(0, pages-int64(u.free))*u.page
}
