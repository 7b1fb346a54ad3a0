package leader

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"

	"github.com/tacet-hub/tacet/broker/area"
)

// keeper has what a member keeps on its disk: the roster, and the highest term.
// Everything is on the disk when a method returns. It is for one goroutine.
type keeper struct {
	dir, keyFile string
	term         uint64
}

const (
	rosterFile = "peers"
	termFile   = "term"
)

// load reads what is kept. What is damaged counts as not there: known is false,
// and err says why.
func (k *keeper) load() (p area.Peers, known bool, err error) {
	if err := os.MkdirAll(k.dir, 0o700); err != nil {
		return area.Peers{}, false, fmt.Errorf("kept by the member: %w", err)
	}
	var wrong error
	if k.term, wrong = k.readTerm(); wrong != nil {
		wrong = fmt.Errorf("term: %w", wrong)
	}
	p, err = k.readRoster()
	if errors.Is(err, os.ErrNotExist) {
		return area.Peers{}, false, wrong
	}
	if err != nil {
		return area.Peers{}, false, errors.Join(wrong, fmt.Errorf("roster: %w", err))
	}
	return p, true, wrong
}

func (k *keeper) readTerm() (uint64, error) {
	b, err := os.ReadFile(filepath.Join(k.dir, termFile))
	if errors.Is(err, os.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	return strconv.ParseUint(strings.TrimSpace(string(b)), 10, 53)
}

// setTerm keeps a term, where it is higher than what is kept.
func (k *keeper) setTerm(term uint64) error {
	if term <= k.term {
		return nil
	}
	if err := replace(filepath.Join(k.dir, termFile), fmt.Appendf(nil, "%d\n", term), 0o600); err != nil {
		return fmt.Errorf("keep term %d: %w", term, err)
	}
	k.term = term
	return nil
}

// The file of the roster has the sum of what follows in its first line. Where the
// key has a file of its own, the roster on the disk has zeros in its place, and the
// sum is of the whole.

func (k *keeper) readRoster() (area.Peers, error) {
	b, err := os.ReadFile(filepath.Join(k.dir, rosterFile))
	if err != nil {
		return area.Peers{}, err
	}
	sum, text, _ := bytes.Cut(b, []byte("\n"))
	p, err := area.ParsePeers(text)
	if err != nil {
		return area.Peers{}, err
	}
	if k.keyFile != "" && isZero(p.Key) {
		if p.Key, err = readKey(k.keyFile); err != nil {
			return area.Peers{}, fmt.Errorf("its key: %v", err) // not wrapped: that it is missing is damage
		}
	}
	if sumOf(p) != string(sum) {
		return area.Peers{}, errors.New("the roster, or its key, is not what was written")
	}
	return p, nil
}

// setRoster keeps a roster.
func (k *keeper) setRoster(p area.Peers) error {
	sum := sumOf(p)
	if k.keyFile != "" {
		if err := replace(k.keyFile, []byte(base64.StdEncoding.EncodeToString(p.Key)+"\n"), 0o600); err != nil {
			return fmt.Errorf("keep the key of area %s: %w", p.Area, err)
		}
		p.Key = make([]byte, area.AreaKeySize)
	}
	if err := replace(filepath.Join(k.dir, rosterFile), append([]byte(sum+"\n"), p.Encode()...), 0o600); err != nil {
		return fmt.Errorf("keep the roster of area %s: %w", p.Area, err)
	}
	return nil
}

func readKey(path string) ([]byte, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	return base64.StdEncoding.DecodeString(strings.TrimSpace(string(b)))
}

func sumOf(p area.Peers) string {
	sum := sha256.Sum256(p.Encode())
	return hex.EncodeToString(sum[:])
}

func isZero(b []byte) bool {
	for _, c := range b {
		if c != 0 {
			return false
		}
	}
	return true
}

// Kept tells what a device keeps of its area, without changing it: for a
// self-test. known is false where it keeps no roster.
func Kept(dir, keyFile string) (p area.Peers, term uint64, known bool, err error) {
	if _, err := os.Stat(dir); errors.Is(err, os.ErrNotExist) {
		return area.Peers{}, 0, false, nil
	}
	k := keeper{dir: dir, keyFile: keyFile}
	p, known, err = k.load()
	return p, k.term, known, err
}

// Writable tells whether what a device is sent of its area can be kept there, for a
// self-test: nothing is changed. A key file of its own, where keyFile is not empty,
// is written by taking its place, so that it is its directory that has to be there
// and writable. Its error says where nothing can be kept.
func Writable(dir, keyFile string) error {
	err := mayWrite(nearest(dir))
	if keyFile == "" {
		return err
	}
	if is, bad := os.Stat(keyFile); bad == nil && !is.Mode().IsRegular() {
		return errors.Join(err, fmt.Errorf("the key cannot be kept in %s: it is no file", keyFile))
	}
	return errors.Join(err, mayWrite(filepath.Dir(keyFile)))
}

func mayWrite(dir string) error {
	f, err := os.CreateTemp(dir, ".tacet-check")
	if err == nil {
		err = errors.Join(f.Close(), os.Remove(f.Name()))
	}
	if err != nil {
		return fmt.Errorf("nothing can be kept in %s: %w", dir, err)
	}
	return nil
}

// nearest is the directory, or that above it which is there.
func nearest(dir string) string {
	for {
		if _, err := os.Stat(dir); err == nil || filepath.Dir(dir) == dir {
			return dir
		}
		dir = filepath.Dir(dir)
	}
}

// replace writes a file so that after a loss of power it is the old one or the
// new one, whole.
func replace(path string, text []byte, mode os.FileMode) error {
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".new*")
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	err = errors.Join(err, f.Chmod(mode), f.Sync(), f.Close())
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
