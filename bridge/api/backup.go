package api

import (
	"context"
	"io"
	"net/http"

	"github.com/tacet-hub/tacet/broker/area"
	"github.com/tacet-hub/tacet/broker/auth"
)

var backupRoutes = []route{
	{http.MethodGet, "/backup", auth.Admin, (*API).getBackup},
}

// Backups puts all that the hub keeps into one file.
type Backups interface {
	// Backup writes it, and the history of what sensors measured where that is wanted:
	// conflict while another is being made. Before it writes anything it has all that
	// it must read at one moment.
	Backup(ctx context.Context, w io.Writer, history bool) error
}

// getBackup gives out everything, secrets included: who may, may all else too.
func (a *API) getBackup(c *call) (answer, error) {
	q := c.query()
	history := q.flag("history", false)
	if err := q.err(); err != nil {
		return answer{}, err
	}
	if c.Context().Value(deskCaller{}) != nil {
		return answer{}, area.Errorf(area.CodeForbidden, "a backup holds secrets, which are not told over MQTT")
	}
	if err := c.home(); err != nil {
		return answer{}, err
	}
	if err := c.may(auth.Admin, anyArea); err != nil {
		return answer{}, err
	}
	a.log.Info("backup begins", "conn", c.RemoteAddr, "who", c.caller())
	return answer{status: http.StatusOK, kind: "application/gzip", stream: func(w io.Writer) error {
		begun := a.cfg.Now()
		to := &counting{Writer: w}
		err := a.Backups.Backup(c.Context(), to, history)
		if err != nil {
			a.count.backupsFailed.Add(1)
			a.log.Warn("backup ended early", "conn", c.RemoteAddr, "who", c.caller(), "n", to.n, "err", err)
			return err
		}
		a.count.backups.Add(1)
		a.log.Info("backup given out", "conn", c.RemoteAddr, "who", c.caller(), "n", to.n, "dur", a.cfg.Now().Sub(begun))
		return nil
	}}, nil
}

// counting counts what is written.
type counting struct {
	io.Writer
	n int64
}

func (w *counting) Write(b []byte) (int, error) {
	n, err := w.Writer.Write(b)
	w.n += int64(n)
	return n, err
}
