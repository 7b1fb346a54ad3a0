package redis

import (
	"context"
	"errors"
	"time"

	"github.com/redis/rueidis"
)

// ErrGone is that of bytes that do not lie on the shelf any more.
var ErrGone = errors.New("redis: nothing lies under this name")

func (c Config) shelfKey(name string) string { return c.Prefix + ":shelf:" + name }

// Lay puts bytes down under a name, for whichever node takes them; after so long they
// are gone. It blocks for the server.
func (s *Server) Lay(ctx context.Context, name string, b []byte, long time.Duration) error {
	_, err := s.do(ctx, func(c rueidis.Builder) rueidis.Commands {
		return rueidis.Commands{c.Set().Key(s.cfg.shelfKey(name)).Value(rueidis.BinaryString(b)).PxMilliseconds(long.Milliseconds()).Build()}
	})
	return err
}

// Take answers what lies under a name, and takes it away; [ErrGone] where there is
// nothing. It blocks for the server.
func (s *Server) Take(ctx context.Context, name string) ([]byte, error) {
	out, err := s.do(ctx, func(c rueidis.Builder) rueidis.Commands {
		return rueidis.Commands{c.Get().Key(s.cfg.shelfKey(name)).Build(), c.Del().Key(s.cfg.shelfKey(name)).Build()}
	})
	if err != nil {
		return nil, err
	}
	b, err := out[0].AsBytes()
	if rueidis.IsRedisNil(err) {
		return nil, ErrGone
	}
	return b, err
}
