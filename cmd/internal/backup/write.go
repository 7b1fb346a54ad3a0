package backup

import (
	"archive/tar"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/tacet-hub/tacet/broker/store"
)

// Source is what a backup is made of.
type Source struct {
	Head Head // Format is filled in
	Data string
	// Records hands out all records of the store at one moment, those of a table
	// together, and tells how many are not among them: [store.Store.Export].
	Records func(each func(store.Record) error) (damaged map[string]int, err error)
	History bool // what sensors measured, too
}

// directories of a data directory that are in a backup, with their parts' beginnings.
const (
	clipsDir   = "clips"
	proofDir   = "proof"
	copiesDir  = "proof-of" // of other nodes
	historyDir = "history"
)

// Write writes a backup. Before the first byte it has all records: where they cannot
// be had nothing is written. It blocks for the disk and for w, and ends with ctx.
// What was written up to an error is cut short, and [Read] refuses it.
func Write(ctx context.Context, w io.Writer, from Source) (Manifest, error) {
	from.Head.Format = Format
	m := Manifest{Head: from.Head, History: from.History, Parts: []Part{}}
	s, err := newSpool(from.Data)
	if err != nil {
		return m, fmt.Errorf("backup: %w", err)
	}
	defer s.file.Close()
	if m.Damaged, err = from.Records(s.put); err != nil {
		return m, err
	}
	if err := s.out.Flush(); err != nil {
		return m, fmt.Errorf("backup: %w", err)
	}
	m.Records = s.count
	zip, err := gzip.NewWriterLevel(w, gzip.BestSpeed) // sound files do not get smaller
	if err != nil {
		return m, err
	}
	p := &packer{ctx: ctx, tar: tar.NewWriter(zip), m: &m}
	if err := p.all(s, from); err != nil {
		return m, fmt.Errorf("backup: %w", err)
	}
	if err := errors.Join(p.tar.Close(), zip.Close()); err != nil {
		return m, fmt.Errorf("backup: %w", err)
	}
	return m, nil
}

// packer writes the archive.
type packer struct {
	ctx context.Context
	tar *tar.Writer
	m   *Manifest
}

func (p *packer) all(s *spool, from Source) error {
	if err := p.json(headName, from.Head); err != nil {
		return err
	}
	for _, part := range s.parts {
		if _, err := p.part(part.name, from.Head.Made, part.to-part.from, s.read(part)); err != nil {
			return err
		}
	}
	for _, d := range []string{clipsDir, proofDir, copiesDir, historyDir} {
		if d == historyDir && !from.History {
			continue
		}
		if err := p.directory(from.Data, d); err != nil {
			return err
		}
	}
	return p.close()
}

// close writes the manifest.
func (p *packer) close() error {
	b, err := json.MarshalIndent(p.m, "", " ")
	if err != nil {
		return err
	}
	sum := sha256.Sum256(b)
	if err := p.bytes(manifestName, b); err != nil {
		return err
	}
	return p.bytes(sumName, []byte(hex.EncodeToString(sum[:])+"\n"))
}

func (p *packer) json(name string, v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return p.bytes(name, b)
}

func (p *packer) bytes(name string, b []byte) error {
	if err := p.head(name, p.m.Made, int64(len(b))); err != nil {
		return err
	}
	_, err := p.tar.Write(b)
	return err
}

func (p *packer) head(name string, changed time.Time, size int64) error {
	return p.tar.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: 0o600, Size: size, ModTime: changed.Truncate(time.Second)})
}

// part writes so many bytes of r, and answers their sum.
func (p *packer) part(name string, changed time.Time, size int64, r io.Reader) (sum string, err error) {
	if k, err := kindOf(name); err != nil || size > k.most {
		return "", fmt.Errorf("%s: %d bytes: no part of a backup: %w", name, size, err)
	}
	if err := p.head(name, changed, size); err != nil {
		return "", err
	}
	hash := sha256.New()
	if _, err := io.CopyN(io.MultiWriter(p.tar, hash), reading{p.ctx, r}, size); err != nil {
		return "", fmt.Errorf("%s: %w", name, err)
	}
	sum = hex.EncodeToString(hash.Sum(nil))
	p.m.Parts = append(p.m.Parts, Part{Name: name, Bytes: size, SHA256: sum})
	return sum, nil
}

// directory packs the files below a directory of the data directory that are of a
// kind. The newest names of one come first: of a record that drops its oldest file
// meanwhile what is packed has no hole.
func (p *packer) directory(data, dir string) error {
	var names []string
	err := filepath.WalkDir(filepath.Join(data, dir), func(at string, d fs.DirEntry, err error) error {
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return nil
		case err != nil:
			return err
		case !d.Type().IsRegular():
			return nil
		}
		name, err := filepath.Rel(data, at)
		if err != nil {
			return err
		}
		if name = filepath.ToSlash(name); name == path.Clean(name) {
			if _, err := kindOf(name); err == nil {
				names = append(names, name)
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	slices.Sort(names)
	for _, name := range slices.Backward(names) {
		if err := p.file(data, name); err != nil {
			return err
		}
	}
	return nil
}

// file packs a file as long as it is now; one that is gone meanwhile is left out.
func (p *packer) file(data, name string) error {
	f, err := os.Open(filepath.Join(data, filepath.FromSlash(name)))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	sum, err := p.part(name, info.ModTime(), info.Size(), f)
	if digits, ok := strings.CutPrefix(name, clipsDir+"/"); ok && err == nil && !strings.HasSuffix(name, ".json") && digits != sum {
		if p.m.Damaged == nil {
			p.m.Damaged = map[string]int{}
		}
		p.m.Damaged[clipsDir]++ // who restores it has its store find out
	}
	return err
}

// reading ends with its context.
type reading struct {
	ctx context.Context
	io.Reader
}

func (r reading) Read(b []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	return r.Reader.Read(b)
}

// Closed is a data directory that no hub has. [Write] of it answers an error that
// wraps [store.ErrInUse] where one has, and fs.ErrNotExist where it has no store.
func Closed(dir string, head Head, history bool) Source {
	return Source{Head: head, Data: dir, History: history, Records: func(each func(store.Record) error) (map[string]int, error) {
		return store.ExportFile(filepath.Join(dir, storeName), each)
	}}
}
