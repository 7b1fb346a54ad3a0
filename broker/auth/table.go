package auth

import (
	"bytes"
	"context"
	"maps"
	"slices"
	"sync"
)

// Table keeps small records by key: enrolled devices, API tokens, enrolments.
// An Authority uses one alone. It is safe for concurrent use.
type Table interface {
	// Load calls each for every record, in the order of the keys. The value may
	// be kept.
	Load(each func(key string, value []byte) error) error
	// Put keeps a record, and returns when it is durable.
	Put(ctx context.Context, key string, value []byte) error
	// Delete forgets a record, durably; it is no error if there is none.
	Delete(ctx context.Context, key string) error
	// PutIf changes a record, durably and for everybody who has the table, if it is
	// as old says (nil: there is none); value nil deletes it. It answers whether that
	// was done, and else what it has found.
	PutIf(ctx context.Context, key string, old, value []byte) (found []byte, done bool, err error)
}

// memory is a Table that forgets with the process.
type memory struct {
	mu sync.Mutex
	by map[string][]byte
}

func (m *memory) Load(each func(string, []byte) error) error {
	m.mu.Lock()
	all := maps.Clone(m.by)
	m.mu.Unlock()
	for _, k := range slices.Sorted(maps.Keys(all)) {
		if err := each(k, all[k]); err != nil {
			return err
		}
	}
	return nil
}

func (m *memory) Put(_ context.Context, key string, value []byte) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.by == nil {
		m.by = map[string][]byte{}
	}
	m.by[key] = slices.Clone(value)
	return nil
}

func (m *memory) Delete(_ context.Context, key string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.by, key)
	return nil
}

func (m *memory) PutIf(_ context.Context, key string, old, value []byte) (found []byte, done bool, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	is := m.by[key]
	switch {
	case (is == nil) != (old == nil) || !bytes.Equal(is, old):
		return is, false, nil
	case value == nil:
		delete(m.by, key)
		return nil, true, nil
	case m.by == nil:
		m.by = map[string][]byte{}
	}
	m.by[key] = slices.Clone(value)
	return nil, true, nil
}
