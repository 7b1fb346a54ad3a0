package proof

import (
	"bytes"
	"context"
	"errors"
	"maps"
	"slices"
	"sync"
	"time"
)

// errAway is the error of a [Memory] that is away.
var errAway = errors.New("proof: it is away")

// Memory is a Common in memory, for tests, whose clock is ahead by so much. Make it with
// [NewMemory]. Its methods are safe for concurrent use.
type Memory struct {
	ahead time.Duration

	mu    sync.Mutex
	away  bool
	nodes map[string]*kept
}

// kept is what there is of a node. What it points to is never changed.
type kept struct {
	texts map[string]string
	files map[string][]byte
}

var _ Common = (*Memory)(nil)

// NewMemory makes an empty one.
func NewMemory(ahead time.Duration) *Memory {
	return &Memory{ahead: ahead, nodes: map[string]*kept{}}
}

// Away has it not answer, or answer again.
func (m *Memory) Away(away bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.away = away
}

// Snapshot keeps what there is, to which restore sets it back. One of an empty memory
// empties it.
func (m *Memory) Snapshot() (restore func()) {
	m.mu.Lock()
	defer m.mu.Unlock()
	copied := m.copied()
	return func() {
		m.mu.Lock()
		defer m.mu.Unlock()
		m.nodes = copied
		m.nodes = m.copied()
	}
}

func (m *Memory) copied() map[string]*kept {
	all := map[string]*kept{}
	for node, k := range m.nodes {
		all[node] = &kept{maps.Clone(k.texts), maps.Clone(k.files)}
	}
	return all
}

// Change changes every file of a node that has some bytes, and tells how many had.
func (m *Memory) Change(node string, old, with []byte) (n int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for name, content := range m.nodes[node].files {
		if bytes.Contains(content, old) {
			m.nodes[node].files[name] = bytes.Replace(content, old, with, 1)
			n++
		}
	}
	return n
}

// forget empties it.
func (m *Memory) forget() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.nodes = map[string]*kept{}
}

// lose loses every file.
func (m *Memory) lose() {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, k := range m.nodes {
		clear(k.files)
	}
}

// Bytes is how long all files of a node are, and Files how many there are.
func (m *Memory) Bytes(node string) (bytes, files int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if k := m.nodes[node]; k != nil {
		for _, content := range k.files {
			bytes, files = bytes+len(content), files+1
		}
	}
	return bytes, files
}

// look calls f, with what there is of a node, unless it is away.
func (m *Memory) look(node string, f func(*kept)) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.away {
		return errAway
	}
	k := m.nodes[node]
	if k == nil {
		k = &kept{map[string]string{}, map[string][]byte{}}
	}
	f(k)
	if len(k.texts)+len(k.files) > 0 {
		m.nodes[node] = k
	}
	return nil
}

// Nodes implements Common.
func (m *Memory) Nodes(context.Context) ([]string, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.away {
		return nil, errAway
	}
	return slices.Sorted(maps.Keys(m.nodes)), nil
}

// Texts implements Common.
func (m *Memory) Texts(_ context.Context, node string) (texts map[string]string, err error) {
	err = m.look(node, func(k *kept) { texts = maps.Clone(k.texts) })
	return texts, err
}

// File implements Common.
func (m *Memory) File(_ context.Context, node, file string) (content []byte, err error) {
	err = m.look(node, func(k *kept) { content = bytes.Clone(k.files[file]) })
	return content, err
}

// Write implements Common.
func (m *Memory) Write(_ context.Context, node string, w Write) (done bool, err error) {
	var lost bool
	err = m.look(node, func(k *kept) {
		if done = k.texts[w.Name] == w.Was; !done {
			return
		}
		maps.Copy(k.texts, w.Texts)
		for _, file := range w.Drop {
			delete(k.files, file)
		}
		was, there := k.files[w.File]
		if lost = !there && !w.Begin; lost {
			return
		}
		if w.Begin {
			was = nil
		}
		k.files[w.File] = slices.Concat(was, w.Lines)
	})
	if err == nil && lost {
		return false, ErrLost
	}
	return done, err
}

// Keep implements Common.
func (m *Memory) Keep(_ context.Context, node, name, text string, _ []string) (was string, err error) {
	err = m.look(node, func(k *kept) { was, k.texts[name] = k.texts[name], text })
	return was, err
}

// Clock implements Common.
func (m *Memory) Clock(context.Context) (time.Time, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.away {
		return time.Time{}, errAway
	}
	return time.Now().Add(m.ahead), nil
}
