package hubd

import (
	"context"
	_ "embed"
	"fmt"
	"net/http"
	"regexp"
	"strings"

	"github.com/tacet-hub/tacet/bridge/api"
	"github.com/tacet-hub/tacet/broker/area"
	"github.com/tacet-hub/tacet/configs/systemd"
)

//go:embed install.sh
var installScript string

// codeHeader has the code of a device that is about to be enrolled: who has it
// may read the programs for devices, and nothing else.
const codeHeader = "Tacet-Code"

// What goes into the script comes from a request and from the shelf: nothing in
// it may mean something to a shell.
var (
	shellHost = regexp.MustCompile(`^([A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?$`)
	shellWord = regexp.MustCompile(`^[A-Za-z0-9.+~_-]+$`)
)

// serveInstall gives out the script that makes a machine a device of this hub:
// with the hub's address as the machine has asked for it, the programs that there
// are, and the service. Nobody has to sign in for it: it has no secret.
func (h *Hub) serveInstall(w http.ResponseWriter, r *http.Request) {
	scheme := "http"
	if r.TLS != nil {
		scheme = "https"
	}
	if !shellHost.MatchString(r.Host) {
		api.Fail(w, r, area.Errorf(area.CodeBadRequest, "the Host header is no name of a host"))
		return
	}
	text := strings.NewReplacer(
		"@HUB@", scheme+"://"+r.Host, "@RELEASES@", h.installable(r.Context()),
		"@UNIT@", strings.TrimSpace(systemd.DeviceService()), "@RULES@", strings.TrimSpace(systemd.DeviceRules()),
	).Replace(installScript)
	head := w.Header()
	head.Set("Content-Type", "text/x-shellscript; charset=utf-8")
	head.Set("Cache-Control", "no-store")
	_, _ = w.Write([]byte(text)) // the caller has gone
}

// installable is a line for each program that a node has.
func (h *Hub) installable(ctx context.Context) string {
	var b strings.Builder
	for _, m := range (rollouts{h: h}).Releases(ctx) {
		if shellWord.MatchString(m.Arch) && shellWord.MatchString(m.Version) && shellWord.MatchString(m.SHA256) {
			fmt.Fprintf(&b, "%s %s %s\n", m.Arch, m.Version, m.SHA256)
		}
	}
	return strings.TrimSuffix(b.String(), "\n")
}

// hasCode tells whether a request has a code that waits to be traded.
func (h *Hub) hasCode(r *http.Request) bool {
	code := r.Header.Get(codeHeader)
	if code == "" {
		return false
	}
	_, err := h.auth.Waits(r.RemoteAddr, code)
	return err == nil
}
