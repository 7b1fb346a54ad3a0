package firmware

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"

	"github.com/tacet-hub/tacet/broker/area"
)

// ErrInUse is the error of opening a memory that another process has open: one
// process is one device, since a second start declares the first one dead.
var ErrInUse = errors.New("another process runs this device")

// Memory is what a device keeps on its disk: the number of its starts, its
// machine id, and the works it has played. Everything is on the disk when a
// method returns. It is safe for concurrent use.
type Memory struct {
	dir  string
	lock *os.File
	mid  string

	mu      sync.Mutex
	boot    uint64
	journal *journal
	run     run  // as it is on the disk
	begun   bool // run is noted
}

// OpenMemory opens the memory in a directory, which is made if it is not there,
// and counts this start. It fails with [ErrInUse] while another process has it
// open.
func OpenMemory(dir string) (*Memory, error) {
	m, err := openMemory(dir)
	if err != nil {
		return nil, fmt.Errorf("device memory %s: %w", dir, err)
	}
	return m, nil
}

func openMemory(dir string) (*Memory, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	l, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	m := &Memory{dir: dir, lock: l}
	if err := m.load(); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return m, nil
}

func (m *Memory) load() (err error) {
	if err := lock(m.lock); err != nil {
		return err
	}
	if m.mid, err = m.machine(); err != nil {
		return err
	}
	boot, known, err := m.lastBoot()
	if err != nil {
		return err
	}
	if known {
		if err := m.SetBoot(boot + 1); err != nil {
			return err
		}
	}
	m.journal, err = openJournal(filepath.Join(m.dir, "journal"))
	return err
}

// machine makes the id of this machine of the one that is kept, and makes that one
// up the first time.
func (m *Memory) machine() (string, error) {
	b, err := os.ReadFile(filepath.Join(m.dir, "mid"))
	if err == nil && area.IsID(strings.TrimSpace(string(b))) {
		return m.bound(strings.TrimSpace(string(b))), nil
	}
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return "", err
	}
	var id [8]byte
	_, _ = rand.Read(id[:]) // it never fails
	mid := hex.EncodeToString(id[:])
	return m.bound(mid), m.write("mid", mid)
}

// bound makes an id of the one that is kept, of the board and of the directory: on
// another board a copy of the card, and elsewhere a copy of the directory, is another
// machine. Were it the same one, its start would tell the hub that the one that it
// was copied from is dead, and what that one plays over (COORDINATION.md §8.8).
func (m *Memory) bound(mid string) string {
	board, _ := os.ReadFile("/proc/device-tree/serial-number") // boards have it, others do not
	sum := sha256.Sum256(fmt.Appendf(nil, "%s %s %d", mid, board, inode(m.lock)))
	return hex.EncodeToString(sum[:8])
}

// lastBoot reads the number of the last start. Where the file is damaged the
// number is not known, and the hub hands one out.
func (m *Memory) lastBoot() (n uint64, known bool, err error) {
	b, err := os.ReadFile(filepath.Join(m.dir, "boot"))
	if errors.Is(err, os.ErrNotExist) {
		return 0, true, nil
	}
	if err != nil {
		return 0, false, err
	}
	n, bad := strconv.ParseUint(strings.TrimSpace(string(b)), 10, 64)
	return n, bad == nil && n < area.MaxCounter, nil
}

// MID is the machine id: another one for each machine, and for each copy of the
// memory.
func (m *Memory) MID() string { return m.mid }

// Boot is the number of this start; 0 where it is not known.
func (m *Memory) Boot() uint64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.boot
}

// SetBoot keeps the number that this start has now.
func (m *Memory) SetBoot(n uint64) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.write("boot", strconv.FormatUint(n, 10)); err != nil {
		return err
	}
	m.boot = n
	return nil
}

// Newest answers the works that were played last, at most n, the newest last.
func (m *Memory) Newest(n int) []area.WorkID {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.journal.newest(n)
}

// Played tells whether the work is one of the last 256 that were played to the
// end.
func (m *Memory) Played(w area.WorkID) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.journal.has(w)
}

// Journal keeps that the work was played to the end.
func (m *Memory) Journal(w area.WorkID) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.journal.add(w)
}

// Close lets another process open the memory.
func (m *Memory) Close() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	return errors.Join(m.journal.close(), m.lock.Close())
}

func (m *Memory) write(name, text string) error {
	return replace(filepath.Join(m.dir, name), text+"\n")
}

// replace writes a file so that after a loss of power it is the old one or the
// new one, whole.
func replace(path, text string) error {
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".new*")
	if err != nil {
		return err
	}
	_, err = f.WriteString(text)
	err = errors.Join(err, f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return syncDir(filepath.Dir(path))
}

// syncDir makes a rename last. Windows has no such call and does not need it.
func syncDir(dir string) error {
	if runtime.GOOS == "windows" {
		return nil
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
