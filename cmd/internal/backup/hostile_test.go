package backup

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tacet-hub/tacet/broker/store"
)

// entry is a file of an archive that somebody else makes.
type entry struct {
	tar.Header
	content string
}

func text(name, content string) entry { return entry{tar.Header{Name: name}, content} }

const someHead = `{"backup":1,"version":"v1","node":"hub-1","made":"2026-11-28T12:00:00Z"}`

// archive packs entries and, where that is wanted, the manifest of them.
func archive(t testing.TB, manifest bool, list ...entry) []byte {
	t.Helper()
	var m Manifest
	if err := json.Unmarshal([]byte(someHead), &m.Head); err != nil {
		t.Fatal(err)
	}
	m.Records = map[string]int{}
	for _, e := range list[min(1, len(list)):] {
		sum := sha256.Sum256([]byte(e.content))
		m.Parts = append(m.Parts, Part{Name: e.Name, Bytes: int64(len(e.content)), SHA256: hex.EncodeToString(sum[:])})
	}
	if manifest {
		b, err := json.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		sum := sha256.Sum256(b)
		list = append(list, text(manifestName, string(b)), text(sumName, hex.EncodeToString(sum[:])))
	}
	var out bytes.Buffer
	zip := gzip.NewWriter(&out)
	w := tar.NewWriter(zip)
	for _, e := range list {
		h := e.Header
		if h.Typeflag == 0 {
			h.Typeflag = tar.TypeReg
		}
		if h.Size == 0 {
			h.Size = int64(len(e.content))
		}
		h.Mode = 0o777
		if err := w.WriteHeader(&h); err != nil {
			t.Fatal(err)
		}
		if h.Size == int64(len(e.content)) {
			if _, err := w.Write([]byte(e.content)); err != nil {
				t.Fatal(err)
			}
		}
	}
	_ = w.Close() // fails where an entry is cut short on purpose
	if err := zip.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func lengths(n uint64, rest string) string { return string(binary.AppendUvarint(nil, n)) + rest }

// hostile are archives that nobody's hub has made.
func hostile(t testing.TB) map[string]struct {
	b    []byte
	want error
} {
	head := text(headName, someHead)
	clip := "clips/" + strings.Repeat("a", 64)
	return map[string]struct {
		b    []byte
		want error
	}{
		"nothing":              {nil, ErrForeign},
		"no gzip":              {[]byte("SQLite format 3"), ErrForeign},
		"no tar":               {zipped(t, strings.Repeat("x", 2000)), ErrForeign},
		"another's tar":        {archive(t, false, text("etc/passwd", "root")), ErrForeign},
		"another head":         {archive(t, true, text(headName, `{"version":"1"}`)), ErrForeign},
		"newer":                {archive(t, true, text(headName, `{"backup":2,"version":"v9"}`)), ErrNewer},
		"up and out":           {archive(t, true, head, text("../evil", "x")), ErrDamaged},
		"out by a clip":        {archive(t, true, head, text("clips/../../evil", "x")), ErrDamaged},
		"from the root":        {archive(t, true, head, text("/etc/cron.d/evil", "x")), ErrDamaged},
		"the store itself":     {archive(t, true, head, text("tacet.db", "x")), ErrDamaged},
		"a link":               {archive(t, true, head, entry{tar.Header{Name: clip, Typeflag: tar.TypeSymlink, Linkname: "/etc/passwd"}, ""}), ErrDamaged},
		"a hard link":          {archive(t, true, head, entry{tar.Header{Name: clip, Typeflag: tar.TypeLink, Linkname: "tacet.db"}, ""}), ErrDamaged},
		"a directory":          {archive(t, true, head, entry{tar.Header{Name: "clips/", Typeflag: tar.TypeDir}, ""}), ErrDamaged},
		"a device":             {archive(t, true, head, entry{tar.Header{Name: clip, Typeflag: tar.TypeChar}, ""}), ErrDamaged},
		"twice":                {archive(t, true, head, text(clip, "x"), text(clip, "x")), ErrDamaged},
		"two heads":            {archive(t, true, head, head), ErrDamaged},
		"no manifest":          {archive(t, false, head, text(clip, "x")), ErrDamaged},
		"another manifest":     {archive(t, false, head, text(manifestName, "{}"), text(sumName, strings.Repeat("0", 64))), ErrDamaged},
		"more than is said":    {archive(t, false, head, text(clip, "x"), text(manifestName, someHead), text(sumName, sumOf(someHead))), ErrDamaged},
		"a bomb":               {archive(t, false, head, entry{tar.Header{Name: clip + ".json", Size: 2 << 20}, ""}), ErrTooLarge},
		"a bomb of many":       {archive(t, true, head, text(clip, strings.Repeat("\x00", 1<<20)), text("clips/"+strings.Repeat("b", 64), strings.Repeat("\x00", 1<<20))), ErrTooLarge},
		"a record of nothing":  {archive(t, true, head, text("tables/areas/0001", lengths(5, "north")+lengths(1<<20, "few"))), ErrDamaged},
		"a record of too much": {archive(t, true, head, text("tables/areas/0001", lengths(1<<40, "north"))), ErrDamaged},
	}
}

func zipped(t testing.TB, s string) []byte {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := w.Write([]byte(s)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func sumOf(s string) string {
	sum := sha256.Sum256([]byte(s))
	return hex.EncodeToString(sum[:])
}

// TestHostileArchives: each is refused for what it is, and nothing of it is left.
func TestHostileArchives(t *testing.T) {
	for name, c := range hostile(t) {
		parent := t.TempDir()
		_, err := Restore(t.Context(), bytes.NewReader(c.b), Target{Data: filepath.Join(parent, "data"), Most: 1 << 20, Now: noon})
		if !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
		if list, err := os.ReadDir(parent); err != nil || len(list) > 0 {
			t.Errorf("%s: left behind: %v %v", name, list, err)
		}
	}
}

// TestARecordThatIsNoneIsRefused: what is well packed and no hub can have written.
func TestARecordThatIsNoneIsRefused(t *testing.T) {
	for name, e := range map[string]entry{
		"no area":            text("ledger/0001", lengths(5, "no/id")+lengths(0, "")),
		"no arbiter's":       text("ledger/0001", lengths(5, "north")+lengths(2, "{}")),
		"an arbiter's of v9": text("ledger/0001", lengths(5, "north")+lengths(7, `{"v":9}`)),
		"no key":             text("tables/areas/0001", lengths(0, "")+lengths(1, "x")),
	} {
		to := filepath.Join(t.TempDir(), "data")
		if _, err := Restore(t.Context(), bytes.NewReader(archive(t, true, text(headName, someHead), e)), Target{Data: to, Now: noon}); err == nil {
			t.Errorf("%s was taken", name)
		}
	}
}

// known is a sink that looks at what it is handed.
type known struct{ t *testing.T }

func (known) record(store.Record) error { return nil }

func (k known) file(name string, _ time.Time, r io.Reader) error {
	if !filepath.IsLocal(name) || strings.Contains(name, `\`) || !strings.Contains(name, "/") {
		k.t.Errorf("a file is called %q", name)
	}
	_, err := io.Copy(io.Discard, r)
	return err
}

// FuzzRead: whatever comes, no file is outside of its directory, and what is taken
// can be restored.
func FuzzRead(f *testing.F) {
	for _, c := range hostile(f) {
		f.Add(unzip(c.b))
	}
	b, _ := pack(f, hub(f), true)
	f.Add(unzip(b))
	f.Fuzz(func(t *testing.T, plain []byte) {
		zip := zipped(t, string(plain))
		m, err := read(t.Context(), bytes.NewReader(zip), 1<<20, known{t})
		if err != nil {
			return
		}
		to := filepath.Join(t.TempDir(), "data")
		if _, err := Restore(t.Context(), bytes.NewReader(zip), Target{Data: to, Most: 1 << 20, Now: noon}); err != nil {
			return // its records are none
		}
		if _, again := pack(t, to, true); len(again.Parts) < len(m.Parts) {
			t.Errorf("%d parts became %d", len(m.Parts), len(again.Parts))
		}
	})
}

// unzip is what a fuzzer can change with effect.
func unzip(b []byte) []byte {
	r, err := gzip.NewReader(bytes.NewReader(b))
	if err != nil {
		return b
	}
	var out bytes.Buffer
	_, _ = out.ReadFrom(r)
	return out.Bytes()
}
