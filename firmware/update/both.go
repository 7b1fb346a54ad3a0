package update

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// A program can carry another one behind its own bytes, which no system that runs it
// looks at: so the two are one file, with one hash and one signature, and come and go
// together. Behind the other program, which is packed, stands how to find it.

// trailer is the end of a program that carries another.
type trailer struct {
	Packed int64             // bytes of the other program as it is packed
	Size   int64             // and as it is
	Sum    [sha256.Size]byte // of it
	Mark   [16]byte
}

// carriesMark ends the bytes of a program that carries another.
var carriesMark = [16]byte([]byte("tacet-carries-1\n"))

const trailerSize = 8 + 8 + sha256.Size + 16

// ErrCarriesNone is the error of a program that carries no other.
var ErrCarriesNone = errors.New("it carries no other program")

// Join answers a program that carries another, in place of one that it may have
// carried before. The same programs make the same bytes.
func Join(program, other []byte) []byte {
	if t, err := carries(bytes.NewReader(program), int64(len(program))); err == nil {
		program = program[:int64(len(program))-trailerSize-t.Packed]
	}
	var out bytes.Buffer
	out.Write(program)
	pack, _ := gzip.NewWriterLevel(&out, gzip.BestCompression) // a level that there is
	_, _ = pack.Write(other)                                   // into memory, as what follows
	_ = pack.Close()
	_ = binary.Write(&out, binary.LittleEndian, trailer{Packed: int64(out.Len() - len(program)), Size: int64(len(other)), Sum: sha256.Sum256(other), Mark: carriesMark})
	return out.Bytes()
}

// Carries tells whether a program carries another.
func Carries(program []byte) bool {
	_, err := carries(bytes.NewReader(program), int64(len(program)))
	return err == nil
}

// carries reads the end of a program.
func carries(r io.ReaderAt, size int64) (t trailer, err error) {
	if size < trailerSize {
		return t, ErrCarriesNone
	}
	if err := binary.Read(io.NewSectionReader(r, size-trailerSize, trailerSize), binary.LittleEndian, &t); err != nil {
		return t, err
	}
	if t.Mark != carriesMark {
		return t, ErrCarriesNone
	}
	if t.Packed < 1 || t.Packed > size-trailerSize || t.Size < 1 || t.Size > MaxProgram {
		return t, fmt.Errorf("%w: what stands at its end is damaged", errDamaged)
	}
	return t, nil
}

// Unpack makes a file of the program that the one at path carries, in a directory of
// its own, and answers its path; those of other versions there are removed. It is made
// once: one that is there is taken, if it is whole. Its error is ErrCarriesNone where
// there is none. It blocks for the disk.
func Unpack(path, dir, name string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return "", err
	}
	t, err := carries(f, info.Size())
	if err != nil {
		return "", err
	}
	to := filepath.Join(dir, name+"-"+hex.EncodeToString(t.Sum[:8]))
	if whole(to, t) {
		return to, nil
	}
	if err := errors.Join(os.MkdirAll(dir, 0o700), others(dir, name)); err != nil {
		return "", err
	}
	return to, t.write(io.NewSectionReader(f, info.Size()-trailerSize-t.Packed, t.Packed), to)
}

// whole tells whether a file is the program.
func whole(path string, t trailer) bool {
	f, err := os.Open(path)
	if err != nil {
		return false
	}
	defer f.Close()
	sum := sha256.New()
	n, err := io.Copy(sum, io.LimitReader(f, t.Size+1))
	return err == nil && n == t.Size && [sha256.Size]byte(sum.Sum(nil)) == t.Sum
}

// others removes the programs of other versions.
func others(dir, name string) error {
	files, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, f := range files {
		if strings.HasPrefix(f.Name(), name+"-") {
			if err := os.Remove(filepath.Join(dir, f.Name())); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return err
			}
		}
	}
	return nil
}

// write unpacks the program into a file, which is whole or not there.
func (t trailer) write(packed io.Reader, to string) error {
	r, err := gzip.NewReader(packed)
	if err != nil {
		return fmt.Errorf("%w: %w", errDamaged, err)
	}
	fresh := to + ".new"
	f, err := os.OpenFile(fresh, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o700)
	if err != nil {
		return err
	}
	sum := sha256.New()
	n, err := io.Copy(io.MultiWriter(f, sum), io.LimitReader(r, t.Size+1))
	err = errors.Join(err, f.Sync(), f.Close())
	if err == nil && (n != t.Size || [sha256.Size]byte(sum.Sum(nil)) != t.Sum) {
		err = errDamaged
	}
	if err == nil {
		err = os.Rename(fresh, to)
	}
	if err != nil {
		return errors.Join(err, os.Remove(fresh))
	}
	return nil
}
