package redis

import (
	"context"
	"time"

	"github.com/redis/rueidis"
)

// First tells whether this node is the first of all to name something, which is
// remembered for so long; to name it again answers the same. It may block for as
// long as the server takes. After an error nobody knows.
func (s *Server) First(ctx context.Context, what string, long time.Duration) (bool, error) {
	key := s.cfg.Prefix + ":first:" + what
	out, err := s.do(ctx, func(b rueidis.Builder) rueidis.Commands {
		return rueidis.Commands{b.Set().Key(key).Value(s.cfg.Node).Nx().PxMilliseconds(long.Milliseconds()).Build(), b.Get().Key(key).Build()}
	})
	if err != nil {
		return false, err
	}
	who, err := out[1].ToString()
	return who == s.cfg.Node, err
}
