package backup

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"
)

// Format is the version of the file that is written, and the newest that is read.
const Format = 1

// Why a file is not read.
var (
	ErrForeign  = errors.New("it is no backup of tacet")
	ErrNewer    = errors.New("a newer tacet wrote it")
	ErrDamaged  = errors.New("the backup is damaged")
	ErrTooLarge = errors.New("the backup holds more than is allowed")
)

// Head is what a file begins with.
type Head struct {
	Format  int       `json:"backup"`  // version of the format
	Version string    `json:"version"` // of the program that wrote it
	Node    string    `json:"node"`    // whose it is
	Made    time.Time `json:"made"`
}

// Part is one file in a backup.
type Part struct {
	Name   string `json:"name"`
	Bytes  int64  `json:"bytes"`
	SHA256 string `json:"sha256"`
}

// Manifest is what a file ends with.
type Manifest struct {
	Head
	Records map[string]int `json:"records"`           // by table, that of the arbiters as "ledger"
	Damaged map[string]int `json:"damaged,omitempty"` // what the hub had lost before, by table; "clips" and "file" as well
	History bool           `json:"history"`           // whether it was asked for
	Parts   []Part         `json:"parts"`
}

// Bytes is how much the parts hold.
func (m Manifest) Bytes() (n int64) {
	for _, p := range m.Parts {
		n += p.Bytes
	}
	return n
}

// Count is how many parts there are in a directory of the file, and how many bytes
// they have: "clips" without what is known of them.
func (m Manifest) Count(dir string) (parts int, bytes int64) {
	for _, p := range m.Parts {
		if strings.HasPrefix(p.Name, dir+"/") && !strings.HasSuffix(p.Name, ".json") {
			parts, bytes = parts+1, bytes+p.Bytes
		}
	}
	return parts, bytes
}

const (
	headName     = "tacet.json"
	manifestName = "manifest.json"
	sumName      = "manifest.sha256"

	ledgerName = "ledger" // among the tables
)

// Bounds of what is read. A hub's own files stay far below, but that of one record,
// which is as long as the longest MQTT packet may be.
const (
	maxHead     = 64 << 10
	maxManifest = 128 << 20
	maxRecord   = 257 << 20 // bytes of a key and its value
	maxParts    = 1 << 20
	partBytes   = 4 << 20 // after which the next part of a table begins
)

// kind is what a part is.
type kind struct {
	name string
	is   *regexp.Regexp
	most int64 // bytes of one
}

// kinds are all that there may be: what matches none is refused.
var kinds = []kind{
	{"ledger", regexp.MustCompile(`^ledger/[0-9]{4,8}$`), partBytes + maxRecord},
	{"table", regexp.MustCompile(`^tables/[a-z0-9_-]{1,64}/[0-9]{4,8}$`), partBytes + maxRecord},
	{"clip", regexp.MustCompile(`^clips/[0-9a-f]{64}$`), 1 << 30},
	{"note", regexp.MustCompile(`^clips/[0-9a-f]{64}\.json$`), 1 << 20},
	{"proof", regexp.MustCompile(`^proof/[A-Za-z0-9_-]{1,64}/[0-9]{16}\.jsonl$`), 1 << 30},
	{"copy", regexp.MustCompile(`^proof-of/[A-Za-z0-9_-]{1,64}/[A-Za-z0-9_-]{1,64}/[0-9]{16}\.jsonl$`), 1 << 30},
	{"clock", regexp.MustCompile(`^proof-of/[A-Za-z0-9_-]{1,64}/clock\.json$`), 1 << 20},
	{"history", regexp.MustCompile(`^history/[0-9]{1,20}(-[0-9]{1,20})?\.[a-z]{1,16}$`), 1 << 30},
}

// kindOf tells what the part of that name is.
func kindOf(name string) (kind, error) {
	for _, k := range kinds {
		if k.is.MatchString(name) {
			return k, nil
		}
	}
	return kind{}, fmt.Errorf("%w: nothing is called %.100q", ErrDamaged, name)
}

// tableOf is the table whose records a part has; empty: the ledger.
func (k kind) tableOf(name string) string {
	if k.name != "table" {
		return ""
	}
	return strings.Split(name, "/")[1]
}

func damaged(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrDamaged, fmt.Sprintf(format, args...))
}
