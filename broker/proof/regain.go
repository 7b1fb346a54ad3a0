package proof

import (
	"context"
	"errors"
	"path/filepath"

	"github.com/tacet-hub/tacet/broker/area"
)

// Regain takes back what the nodes have in common of this one's records and is not on
// its disk: of a disk that is new, was put back to what it was before, or has lost what
// was written last. So the record goes on where it ended. It is to be called before Run,
// and blocks for both; its error says what could not be had back, which is then kept
// aside there.
func (b *Book) Regain(ctx context.Context, c Common) error {
	s := &stored{b: b, c: c, node: b.cfg.Node}
	r, err := s.heads(ctx)
	if err != nil {
		return err
	}
	var errs []error
	for a := range r.Heads {
		errs = append(errs, s.regain(ctx, a))
	}
	return errors.Join(errs...)
}

func (s *stored) regain(ctx context.Context, a area.Name) (err error) {
	x := s.orders[a]
	f, err := openFiles(filepath.Join(s.b.cfg.Dir, string(a)))
	if err != nil {
		return err
	}
	f.most, f.keep = s.b.cfg.FileBytes, s.b.cfg.Files
	defer func() { err = errors.Join(err, f.close()) }()
	if f.n > 0 && (f.file == nil || x.Files[0].First > f.n+1) {
		return nil // it is damaged, or there is a hole between the two
	}
	for f.n < x.N {
		r, err := s.lines(ctx, question{Area: a, After: head{f.n, f.chain.String()}})
		if err != nil || r.Fork || r.Lines == "" {
			return err
		}
		list, err := f.paste([]byte(r.Lines))
		s.b.count.regained.Add(uint64(len(list)))
		if err != nil {
			return err
		}
	}
	return nil
}
