package backup

import (
	"archive/tar"
	"bufio"
	"bytes"
	"compress/flate"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"time"

	"github.com/tacet-hub/tacet/broker/store"
)

// MostBytes is how much a backup may hold where nobody says otherwise.
const MostBytes = 64 << 30

// sink takes in what a backup holds, before it is known that all of it is well.
type sink interface {
	// record takes one record.
	record(store.Record) error
	// file takes a file of the data directory; name has slashes, and is of a kind.
	file(name string, changed time.Time, r io.Reader) error
}

// nowhere is the sink of who only looks.
type nowhere struct{}

func (nowhere) record(store.Record) error { return nil }
func (nowhere) file(_ string, _ time.Time, r io.Reader) error {
	_, err := io.Copy(io.Discard, r)
	return err
}

// Verify reads a backup to its end and answers what it says of itself. Its errors
// wrap [ErrForeign], [ErrNewer], [ErrDamaged] or [ErrTooLarge], or are those of r and
// ctx. most bounds the bytes that it holds; 0: [MostBytes].
func Verify(ctx context.Context, r io.Reader, most int64) (Manifest, error) {
	return read(ctx, r, most, nowhere{})
}

// read hands what a backup holds to a sink. Only once it has returned nil is that to
// be believed.
func read(ctx context.Context, r io.Reader, most int64, to sink) (Manifest, error) {
	if most <= 0 {
		most = MostBytes
	}
	in := bufio.NewReaderSize(reading{ctx, r}, 64<<10)
	zip, err := gzip.NewReader(in)
	if err != nil {
		return Manifest{}, orOf(ctx, err, ErrForeign)
	}
	zip.Multistream(false)
	u := &unpacker{left: most, to: to, seen: map[string]Part{}, records: map[string]int{}}
	u.tar = tar.NewReader(zip)
	m, err := u.all()
	if err != nil {
		return m, orOf(ctx, err, nil)
	}
	if n, err := io.Copy(io.Discard, io.LimitReader(zip, 1<<20)); err != nil || n >= 1<<20 {
		return m, damaged("its end is not well")
	}
	if _, err := in.Peek(1); !errors.Is(err, io.EOF) {
		return m, damaged("something follows its end")
	}
	return m, nil
}

// orOf is err, or why reading ended early; what is wrong with an archive is damage,
// or what is said.
func orOf(ctx context.Context, err, is error) error {
	if ended := ctx.Err(); ended != nil {
		return ended
	}
	for _, known := range []error{ErrForeign, ErrNewer, ErrDamaged, ErrTooLarge} {
		if errors.Is(err, known) {
			return err
		}
	}
	switch {
	case errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF):
		if is != nil {
			return is
		}
		return damaged("it is cut short")
	case errors.Is(err, gzip.ErrHeader) || errors.Is(err, gzip.ErrChecksum) || errors.Is(err, tar.ErrHeader) || isFlate(err):
		if is != nil {
			return is
		}
		return fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	return err
}

// isFlate tells whether an error is that of compressed bytes that are none.
func isFlate(err error) bool {
	_, bad := errors.AsType[flate.CorruptInputError](err)
	return bad
}

// unpacker reads the archive.
type unpacker struct {
	tar     *tar.Reader
	to      sink
	left    int64 // bytes that may come yet
	seen    map[string]Part
	records map[string]int
}

func (u *unpacker) all() (m Manifest, err error) {
	head, err := u.head()
	if err != nil {
		return m, err
	}
	for {
		h, err := u.next()
		if err != nil {
			return m, err
		}
		if h.Name == manifestName {
			return u.end(head, h)
		}
		if err := u.part(h); err != nil {
			return m, err
		}
	}
}

// next is the next file of the archive.
func (u *unpacker) next() (*tar.Header, error) {
	h, err := u.tar.Next()
	switch {
	case err != nil:
		return nil, err
	case h.Typeflag != tar.TypeReg || h.Size < 0:
		return nil, damaged("%.100q is no regular file", h.Name)
	case len(u.seen) >= maxParts:
		return nil, fmt.Errorf("%w: %d files", ErrTooLarge, maxParts)
	}
	if u.left -= h.Size; u.left < 0 {
		return nil, fmt.Errorf("%w, at %.100q", ErrTooLarge, h.Name)
	}
	return h, nil
}

// head reads what tells a backup from anything else.
func (u *unpacker) head() (head Head, err error) {
	h, err := u.tar.Next()
	if err != nil || h.Typeflag != tar.TypeReg || h.Name != headName || h.Size > maxHead {
		if errors.Is(err, io.ErrUnexpectedEOF) {
			return head, err
		}
		return head, ErrForeign
	}
	b, err := io.ReadAll(u.tar)
	if err != nil {
		return head, err
	}
	if err := json.Unmarshal(b, &head); err != nil || head.Format < 1 {
		return head, ErrForeign
	}
	if head.Format > Format {
		return head, fmt.Errorf("%w: %s, format %d; this one reads up to %d", ErrNewer, plain(head.Version), head.Format, Format)
	}
	return head, nil
}

// plain is a text of a file, bounded.
func plain(s string) string { return fmt.Sprintf("%.40q", s) }

func (u *unpacker) part(h *tar.Header) error {
	k, err := kindOf(h.Name)
	if err != nil {
		return err
	}
	if _, twice := u.seen[h.Name]; twice {
		return damaged("%s comes twice", h.Name)
	}
	if h.Size > k.most {
		return fmt.Errorf("%w: %s has %d bytes, %d are allowed", ErrTooLarge, h.Name, h.Size, k.most)
	}
	hash := sha256.New()
	in := io.TeeReader(u.tar, hash)
	if k.name == "ledger" || k.name == "table" {
		err = readRecords(in, k.tableOf(h.Name), u.record)
	} else {
		err = u.to.file(h.Name, h.ModTime, in)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", h.Name, err)
	}
	u.seen[h.Name] = Part{Name: h.Name, Bytes: h.Size, SHA256: hex.EncodeToString(hash.Sum(nil))}
	return nil
}

func (u *unpacker) record(r store.Record) error {
	name := r.Table
	if name == "" {
		name = ledgerName
	}
	u.records[name]++
	return u.to.record(r)
}

// end reads the manifest, and holds against it what came.
func (u *unpacker) end(head Head, h *tar.Header) (m Manifest, err error) {
	if h.Size > maxManifest {
		return m, fmt.Errorf("%w: a manifest of %d bytes", ErrTooLarge, h.Size)
	}
	b, err := io.ReadAll(u.tar)
	if err != nil {
		return m, err
	}
	sum := sha256.Sum256(b)
	if h, err = u.next(); err != nil {
		return m, err
	}
	said, err := io.ReadAll(io.LimitReader(u.tar, 100))
	if err != nil {
		return m, err
	}
	if h.Name != sumName || string(bytes.TrimSpace(said)) != hex.EncodeToString(sum[:]) {
		return m, damaged("the manifest is not what it was")
	}
	if err := json.Unmarshal(b, &m); err != nil {
		return m, damaged("the manifest cannot be read")
	}
	if _, err := u.tar.Next(); !errors.Is(err, io.EOF) {
		return m, damaged("something follows the manifest")
	}
	return m, u.holds(head, m)
}

// holds tells whether what came is what the manifest says.
func (u *unpacker) holds(head Head, m Manifest) error {
	if m.Format != head.Format || m.Node != head.Node || m.Version != head.Version || !m.Made.Equal(head.Made) {
		return damaged("its head is not that of its manifest")
	}
	for _, p := range m.Parts {
		got, ok := u.seen[p.Name]
		switch {
		case !ok:
			return damaged("%s is missing", plain(p.Name))
		case got != p:
			return damaged("%s is not what it was", p.Name)
		}
		delete(u.seen, p.Name)
	}
	if len(u.seen) > 0 {
		return damaged("%s was not there when it was made", slices.Min(slices.Collect(maps.Keys(u.seen))))
	}
	if !maps.Equal(u.records, m.Records) {
		return damaged("its records are not those of its manifest")
	}
	return nil
}
