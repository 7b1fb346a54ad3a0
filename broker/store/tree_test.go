package store

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// TestWhatBboltWritesIsWell: the walk asks for no more than bbolt keeps, through
// splits, merges and first records that come and go.
func TestWhatBboltWritesIsWell(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "tacet.db")
	s := open(t, path)
	r := rand.New(rand.NewPCG(3, 5))
	for round := range 150 {
		table := s.Table(fmt.Sprint("t", r.IntN(3)))
		low, n := r.IntN(800), 1+r.IntN(120)
		for i := range n {
			key := fmt.Sprintf("%04d%s", (low+i)%800, strings.Repeat("k", (low+i)%800%90))
			if round/15%2 == 0 {
				table.PutAsync(key, make([]byte, r.IntN(900)), func(error) {})
			} else {
				table.DeleteAsync(key, func(error) {})
			}
		}
		mustPut(t, table, "0", fmt.Sprint(round)) // the group is written, and the first record moves
		if round%3 == 0 {
			if err := table.Delete(t.Context(), "0"); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := surveyOf(path); err != nil {
			t.Fatalf("after %d rounds: %v", round+1, err)
		}
	}
}

// TestBranchThatLeadsElsewhere swaps the first child of a branch for each other
// page of the file: what is not its child is seen before bbolt may write.
func TestBranchThatLeadsElsewhere(t *testing.T) {
	t.Parallel()
	_, content, want := library(t)
	page, tried := os.Getpagesize(), 0
	var tasks sync.WaitGroup
	defer tasks.Wait()
	paths := make(chan string, 8) // each takes most of its time to wait for the disk
	for range cap(paths) {
		paths <- filepath.Join(t.TempDir(), "tacet.db")
	}
	for at := 2 * page; at < len(content); at += page {
		if native.Uint16(content[at+8:]) != branchPage {
			continue
		}
		pointer := at + pageHead + 8
		was := native.Uint64(content[pointer:])
		for to := range uint64(len(content) / page) {
			if to == was {
				continue
			}
			tried++
			path := <-paths
			tasks.Go(func() {
				defer func() { paths <- path }()
				damaged := bytes.Clone(content)
				native.PutUint64(damaged[pointer:], to)
				if err := os.WriteFile(path, damaged, 0o600); err != nil {
					t.Error(err)
					return
				}
				verdict(t, path, fmt.Sprintf("page %d leads to %d, not %d", at/page, to, was), want)
				for _, aside := range setAside(t, path) {
					_ = os.Remove(aside)
				}
			})
		}
	}
	if tried == 0 {
		t.Error("the file has no branch")
	}
}

// setAside are the files that lie beside path.
func setAside(t *testing.T, path string) []string {
	t.Helper()
	files, err := filepath.Glob(path + ".*")
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
	return files
}
