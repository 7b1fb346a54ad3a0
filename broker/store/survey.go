package store

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
)

// survey is what a file holds, read without bbolt.
type survey struct {
	format  int              // 0: it has none
	records map[place][]byte // sealed
	parts   map[string]bool  // the buckets at the top
	sums    sums             // what should be there; nil: it is not said
	worn    bool             // one of the two roots is not well
	damaged []place          // records that fail their checksums
}

// surveyOf reads a file through. The error wraps errDamaged where the structure
// is not well; the survey then holds what could be read.
func surveyOf(path string) (survey, error) {
	v := survey{records: map[place][]byte{}, parts: map[string]bool{}}
	f, err := os.Open(path)
	if err != nil {
		return v, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return v, err
	}
	t, err := readTree(f, info.Size())
	if err != nil {
		return v, err
	}
	v.worn = t.worn
	t.each(t.root, func(name, value []byte, sub bool) {
		b, ok := t.sub(value)
		if !sub || !ok {
			t.wrong("a part of it is none")
			return
		}
		v.parts[string(name)] = true
		v.part(t, string(name), b)
	})
	t.freelist()
	for p, sealed := range v.records {
		if errors.Is(intact(p, sealed), ErrCorrupt) {
			v.damaged = append(v.damaged, p)
		}
	}
	slices.SortFunc(v.damaged, inOrder)
	if t.fault == nil {
		t.fault = v.lacks()
	}
	return v, t.fault
}

// part reads one of the buckets at the top.
func (v *survey) part(t *tree, name string, b bucket) {
	t.each(b, func(key, value []byte, sub bool) {
		switch {
		case sub != (name == string(tablesBucket)):
			t.wrong("a record of %s is none", name)
		case sub:
			if inner, ok := t.sub(value); ok {
				v.table(t, string(key), inner)
			}
		case name == string(ledgerBucket):
			v.records[place{key: string(key)}] = slices.Clone(value)
		case name == string(metaBucket) && string(key) == string(formatKey):
			v.format, _ = strconv.Atoi(string(value))
		case name == string(metaBucket) && string(key) == string(sumsKey):
			v.sums, _ = decodeSums(value)
		}
	})
}

func (v *survey) table(t *tree, name string, b bucket) {
	t.each(b, func(key, value []byte, sub bool) {
		if sub {
			t.wrong("a record of table %s is none", name)
			return
		}
		v.records[place{name, string(key)}] = slices.Clone(value)
	})
}

// lacks tells whether the file is not one of ours, or not of this format.
func (v *survey) lacks() error {
	switch {
	case v.format < 1:
		return fmt.Errorf("%w: it has no format", errDamaged)
	case v.format > fileFormat:
		return fmt.Errorf("has format %d, and this version reads up to %d: %w", v.format, fileFormat, errNewer)
	}
	for _, name := range bucketsOf(v.format) {
		if !v.parts[string(name)] {
			return fmt.Errorf("%w: it lacks a part", errDamaged)
		}
	}
	return nil
}

// there is what the records add up to; with those that are damaged, or without.
func (v *survey) there(damaged bool) sums {
	all := sums{}
	for p, sealed := range v.records {
		all.add(p.table, sealed, 1)
	}
	if !damaged {
		for _, p := range v.damaged {
			all.add(p.table, v.records[p], -1)
		}
	}
	return all
}

// damage is how many records of each table are damaged or missing.
func (v *survey) damage() map[string]int {
	bad := map[string]int{}
	for _, p := range v.damaged {
		bad[p.table]++
	}
	for table, n := range v.sums.missing(v.there(true), bad) {
		bad[table] += n
	}
	out := map[string]int{}
	for table, n := range bad {
		if table == "" {
			table = ledgerTable
		}
		out[table] = n
	}
	if v.sums == nil && v.format >= 2 {
		out["sums"] = 1
	}
	if v.worn {
		out["root"] = 1
	}
	return out
}

// ledgerTable is what the ledger is called where tables are named.
const ledgerTable = "ledger"
