package hubd

import (
	"context"
	"io"
	"net/http"
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"github.com/tacet-hub/tacet/broker/auth"
	"github.com/tacet-hub/tacet/cmd/internal/conf"
)

// enrolling is a hub that knows somebody, with a release on its shelf, and a code
// that waits.
func enrolling(t *testing.T) (h *Hub, ready Ready, code string) {
	t.Helper()
	const hash = "$argon2id$v=19$m=8,t=1,p=1$c2FsdHNhbHQ$+RsCrdHrAKGEJIDLM0Esow"
	h, ready, _ = started(t, func(c *conf.Config) {
		c.Auth.Users = []conf.User{{Name: "ann", PasswordHash: hash, Roles: []string{"operator"}, Tenant: "default", Areas: []string{"*"}}}
		c.Updates.Dir = t.TempDir()
	})
	published(t, h, []byte("program"))
	made, err := h.auth.Enrol(context.Background(), auth.Enrolment{Device: "gate-12", Area: "north"})
	if err != nil {
		t.Fatal(err)
	}
	return h, ready, made.Text
}

// as asks the hub for a path under a name of its own, with headers.
func as(t *testing.T, ready Ready, host, path string, headers ...string) (status int, body string) {
	t.Helper()
	req, err := http.NewRequest(http.MethodGet, ready.HTTP+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	if host != "" {
		req.Host = host
	}
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(b)
}

// What the script is told of the request and the shelf stands in it; a host that
// would mean something to a shell is refused.
func TestInstallScript(t *testing.T) {
	_, ready, _ := enrolling(t)
	status, text := as(t, ready, "hub.local:8080", "/install.sh")
	if status != http.StatusOK {
		t.Fatalf("status %d: %s", status, text)
	}
	for _, want := range []string{"#!/bin/sh\n", "\nhub='http://hub.local:8080'\n", "\nlinux-arm64 v1.2.3 ", "\nType=notify\n", `KERNEL=="gpiochip*"`, "\nmain \"$@\"\n"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is not in the script", want)
		}
	}
	if mark := regexp.MustCompile("@[A-Z]+@").FindString(text); mark != "" {
		t.Errorf("%s is left in it", mark)
	}
	if !strings.HasSuffix(text, "}\n\nmain \"$@\"\n") {
		t.Error("it begins before its last line")
	}
	sh := exec.Command("sh", "-n")
	sh.Stdin = strings.NewReader(text)
	if out, err := sh.CombinedOutput(); err != nil {
		t.Errorf("sh -n: %v: %s", err, out)
	}
	for _, host := range []string{"a'b", "a;reboot", "$(reboot)", "a`b`", "a%20b", "@RELEASES@", "a\\b", "a:b", "a&b"} {
		if status, _ := as(t, ready, host, "/install.sh"); status != http.StatusBadRequest {
			t.Errorf("host %q: status %d, want 400", host, status)
		}
	}
	for _, host := range []string{"[::1]:80", "192.0.2.7", "hub"} {
		if status, text := as(t, ready, host, "/install.sh"); status != http.StatusOK || !strings.Contains(text, "hub='http://"+host+"'") {
			t.Errorf("host %q: status %d", host, status)
		}
	}
}

// Who has a code that waits gets the program, and nothing else.
func TestProgramForACode(t *testing.T) {
	h, ready, code := enrolling(t)
	const path = "/updates/linux-arm64/program"
	if status, _ := as(t, ready, "", path); status != http.StatusUnauthorized {
		t.Errorf("without a code: status %d", status)
	}
	if status, _ := as(t, ready, "", path, codeHeader, "AAAA-BBBB"); status != http.StatusUnauthorized {
		t.Errorf("with a wrong code: status %d", status)
	}
	for range 3 {
		if status, body := as(t, ready, "", path, codeHeader, strings.ToLower(code)); status != http.StatusOK || body != "program" {
			t.Errorf("with the code: status %d, %q", status, body)
		}
	}
	if status, _ := as(t, ready, "", "/api/v1/areas", codeHeader, code); status != http.StatusUnauthorized {
		t.Errorf("the areas: status %d", status)
	}
	if _, err := h.auth.Redeem(t.Context(), "", code); err != nil {
		t.Fatal(err)
	}
	if status, _ := as(t, ready, "", path, codeHeader, code); status != http.StatusUnauthorized {
		t.Errorf("with the used code: status %d", status)
	}
}
