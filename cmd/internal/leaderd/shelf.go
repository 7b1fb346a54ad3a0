package leaderd

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/tacet-hub/tacet/broker/clip"
)

// shelf is the directory in which a device has its clips, each named for what it
// is. They are the device's: here they are only read. Empty: there are none.
type shelf string

// look opens a clip that is there, after it has read the whole of it: what is not
// what its name says is not handed out. The file is the caller's to close.
func (s shelf) look(sum clip.Sum) (*os.File, error) {
	if s == "" {
		return nil, os.ErrNotExist
	}
	f, err := os.Open(filepath.Join(string(s), sum.Hex()))
	if err != nil {
		return nil, err
	}
	hash := sha256.New()
	_, err = io.Copy(hash, f)
	if err == nil && clip.Sum(hash.Sum(nil)) != sum {
		err = fmt.Errorf("%s is damaged", f.Name())
	}
	if err == nil {
		_, err = f.Seek(0, io.SeekStart)
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}
