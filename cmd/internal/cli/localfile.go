package cli

import (
	"errors"
	"io"
	"os"
	"sync"
)

// localFile is a file that is sent to the hub. It remembers why it could not be
// read: whoever sends it takes that for a fault of the hub.
type localFile struct {
	file *os.File
	mu   sync.Mutex
	err  error
}

// openLocal opens what the command line names; a directory is none.
func openLocal(path string) (*localFile, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, Usagef("%v", err)
	}
	info, err := file.Stat()
	if err == nil && !info.IsDir() {
		return &localFile{file: file}, nil
	}
	file.Close()
	if err != nil {
		return nil, Usagef("%v", err)
	}
	return nil, Usagef("%s is a directory, not a file", path)
}

func (f *localFile) Read(p []byte) (int, error) {
	n, err := f.file.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		f.mu.Lock()
		f.err = Usagef("%v", err)
		f.mu.Unlock()
	}
	return n, err
}

// fault is why it could not be read; nil: it could.
func (f *localFile) fault() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.err
}

func (f *localFile) Close() error { return f.file.Close() }
