package api

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/tacet-hub/tacet/broker/area"
)

// saver is Backups: what it writes, and how it ends.
type saver struct {
	text    string
	err     error
	history bool
}

// Backup implements Backups.
func (s *saver) Backup(_ context.Context, w io.Writer, history bool) error {
	s.history = history
	if s.text != "" {
		if _, err := io.WriteString(w, s.text); err != nil {
			return err
		}
	}
	return s.err
}

func TestBackup(t *testing.T) {
	w := newWorld(t)
	w.saver.text = "all"
	res, body := w.want(200, "GET", "/backup?history=true", "")
	if body != "all" || !w.saver.history || res.Header.Get("Content-Type") != "application/gzip" || res.Header.Get("ETag") != "" {
		t.Errorf("%q, history %t, %v", body, w.saver.history, res.Header)
	}
	if _, body = w.want(200, "HEAD", "/backup", ""); body != "" {
		t.Errorf("HEAD is answered %q", body)
	}
	w.want(area.CodeInvalid, "GET", "/backup?history=some", "")
	w.saver.text, w.saver.err = "", area.Errorf(area.CodeConflict, "another one is being made")
	w.want(area.CodeConflict, "GET", "/backup", "")
	w.saver.err = errors.New("the disk")
	w.want(area.CodeInternal, "GET", "/backup", "")

	w.saver.text = "half"
	func() {
		defer func() {
			if p := recover(); p != http.ErrAbortHandler {
				t.Errorf("a backup that fails in the middle ends with %v", p)
			}
		}()
		w.do("GET", "/backup", "")
		t.Error("a backup that fails in the middle is an answer")
	}()
	if s := w.api.Stats(); s.Backups != 1 || s.BackupsFailed != 3 {
		t.Errorf("%d given out, %d failed", s.Backups, s.BackupsFailed)
	}
	for _, line := range []string{`msg="backup begins"`, `msg="backup given out"`, `msg="backup ended early"`} {
		if !strings.Contains(w.log.String(), line) {
			t.Errorf("the log lacks %s", line)
		}
	}
}
