package api

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/tacet-hub/tacet/bridge/rollout"
	"github.com/tacet-hub/tacet/broker/area"
)

func TestRollouts(t *testing.T) {
	w := newWorld(t)
	w.want(200, "GET", "/releases", "")
	res, body := w.want(202, "POST", "/rollouts", `{"to":{"area":"north"},"version":"v1.4.0"}`)
	var r rollout.Rollout
	if err := json.Unmarshal([]byte(body), &r); err != nil || r.State != rollout.Running || len(r.Devices) == 0 || r.CreatedBy != "anonymous" {
		t.Fatalf("%s, %v", body, err)
	}
	if at := res.Header.Get("Location"); at != Prefix+"/rollouts/"+r.ID {
		t.Errorf("it is at %q", at)
	}
	w.want(200, "GET", "/rollouts", "")
	w.want(200, "GET", "/rollouts/"+r.ID, "")
	_, body = w.want(200, "DELETE", "/rollouts/"+r.ID, "")
	if err := json.Unmarshal([]byte(body), &r); err != nil || r.State != rollout.Cancelled || r.EndedAt == nil {
		t.Errorf("%s, %v", body, err)
	}
	for _, c := range []struct {
		code               area.Code
		method, path, body string
	}{
		{area.CodeEnded, "DELETE", "/rollouts/" + r.ID, ""},
		{area.CodeNotFound, "GET", "/rollouts/u-none", ""},
		{area.CodeNotFound, "DELETE", "/rollouts/u-none", ""},
		{area.CodeInvalid, "POST", "/rollouts", `{"to":{}}`},
		{area.CodeInvalid, "POST", "/rollouts", `{"to":{"all":true,"area":"north"}}`},
		{area.CodeBadRequest, "POST", "/rollouts", `{"to":{"all":true},"force":true}`},
		{area.CodeUnknownDevice, "POST", "/rollouts", `{"to":{"device":"nobody"}}`},
		{area.CodeUnknownArea, "POST", "/rollouts", `{"to":{"area":"west"}}`},
	} {
		w.want(c.code, c.method, c.path, c.body)
	}
}

// Who runs one area sees its part of a rollout for all of them.
func TestRolloutOfSeveralAreas(t *testing.T) {
	w := newGuardedWorld(t)
	as := func(person, method, path, body string) (int, string) {
		res, out := w.do(method, path, body, "X-Person: "+person)
		return res.StatusCode, out
	}
	code, body := as("operator", "POST", "/rollouts", `{"to":{"all":true}}`)
	var r rollout.Rollout
	if err := json.Unmarshal([]byte(body), &r); err != nil || code != 202 {
		t.Fatalf("%d %s", code, body)
	}
	for _, d := range r.Devices {
		if d.Area != "north" {
			t.Fatalf("the world has a player in %s by now: this test has to look at it", d.Area)
		}
	}
	if code, body := as("north operator", "GET", "/rollouts/"+r.ID, ""); code != 200 {
		t.Errorf("its own area: %d %s", code, body)
	}
	if code, body := as("south operator", "GET", "/rollouts", ""); code != 200 || !strings.Contains(body, `"items":[]`) {
		t.Errorf("another area: %d %s", code, body)
	}
}
