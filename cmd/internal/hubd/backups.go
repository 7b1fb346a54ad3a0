package hubd

import (
	"context"
	"io"
	"sync"
	"time"

	"github.com/tacet-hub/tacet/broker/area"
	"github.com/tacet-hub/tacet/cmd/internal/backup"
)

// backups gives out what the hub keeps, to one at a time: each takes as much of the
// disk as the store has, until it is sent.
type backups struct {
	h    *Hub
	busy sync.Mutex
}

// Backup implements api.Backups.
func (b *backups) Backup(ctx context.Context, w io.Writer, history bool) error {
	if !b.busy.TryLock() {
		return area.Errorf(area.CodeConflict, "another backup is being made")
	}
	defer b.busy.Unlock()
	head := backup.Head{Version: b.h.opt.Version, Node: b.h.cfg.Node, Made: time.Now().UTC()}
	_, err := backup.Write(ctx, w, backup.Source{Head: head, Data: b.h.cfg.Data, Records: b.h.store.Export, History: history})
	return err
}
