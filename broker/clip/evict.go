package clip

import "slices"

// reserve makes room for so many bytes, and takes it.
func (s *Store) reserve(size int64) error {
	needed := s.cfg.Needed()
	s.mu.Lock()
	defer s.mu.Unlock()
	victims, enough := s.victims(size, needed)
	if !enough {
		s.count.full.Add(1)
		return ErrFull
	}
	for _, e := range victims {
		s.count.evicted.Add(1)
		s.count.evictedBytes.Add(uint64(e.Bytes))
		if err := s.drop(e); err != nil {
			return err
		}
	}
	s.bytes += size
	return nil
}

// victims are the clips that have to go for so many bytes more, and whether
// that is enough. The caller holds the lock.
func (s *Store) victims(size int64, needed map[Sum]bool) (out []*entry, enough bool) {
	bytes, clips := s.bytes+size-s.cfg.MaxBytes, len(s.clips)+1-s.cfg.MaxClips
	if bytes <= 0 && clips <= 0 {
		return nil, true
	}
	late := s.cfg.Now().Add(-grace)
	all := make([]*entry, 0, len(s.clips))
	for _, e := range s.clips {
		if !needed[e.Sum] && e.Used.Before(late) {
			all = append(all, e)
		}
	}
	slices.SortFunc(all, func(a, b *entry) int {
		if made := len(a.Keys) > 0; made != (len(b.Keys) > 0) { // what was made can be made again
			if made {
				return -1
			}
			return 1
		}
		return a.Used.Compare(b.Used)
	})
	for _, e := range all {
		if bytes <= 0 && clips <= 0 {
			break
		}
		out = append(out, e)
		bytes, clips = bytes-e.Bytes, clips-1
	}
	return out, bytes <= 0 && clips <= 0
}
