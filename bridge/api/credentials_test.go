package api

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	"github.com/tacet-hub/tacet/broker/area"
	"github.com/tacet-hub/tacet/broker/auth"
)

// credentials is a row for each device that a person is shown: id, area, state,
// and whether a code waits.
func (w *world) credentials(person string) (rows []string) {
	w.t.Helper()
	_, out := w.want(200, "GET", "/credentials", "", "X-Person: "+person)
	var list struct{ Items []deviceCredential }
	if err := json.Unmarshal([]byte(out), &list); err != nil {
		w.t.Fatal(err)
	}
	for _, d := range list.Items {
		row := string(d.Device) + " " + d.State
		if d.CodeExpires != nil {
			row += " code"
		}
		rows = append(rows, row)
	}
	return rows
}

// TestCredentials: who may connect, and for whom a code waits, is seen by those
// who run the area, before the device ever connected.
func TestCredentials(t *testing.T) {
	w := newGuardedWorld(t)
	configured := w.credentials("north operator")
	code := func(body string) (made struct {
		Code     string
		Replaced bool
	}) {
		_, out := w.want(201, "POST", "/enrolments", body, "X-Person: admin")
		if err := json.Unmarshal([]byte(out), &made); err != nil {
			t.Fatal(err)
		}
		return made
	}
	first := code(`{"device":"zate-12","area":"north"}`)
	code(`{"device":"zate-14","area":"north"}`)
	code(`{"device":"zate-16","area":"south"}`)
	w.want(200, "POST", "/enrolments/"+first.Code, "")
	if got, want := w.credentials("north operator"), append(configured, "zate-12 enrolled", "zate-14 waiting code"); !reflect.DeepEqual(got, want) {
		t.Errorf("the north operator is shown %q, want %q", got, want)
	}
	code(`{"device":"zate-12","area":"north"}`)
	if got, want := w.credentials("north operator"), append(configured, "zate-12 enrolled code", "zate-14 waiting code"); !reflect.DeepEqual(got, want) {
		t.Errorf("enrolled again: %q, want %q", got, want)
	}
	if again := code(`{"device":"zate-14","area":"north"}`); !again.Replaced || first.Replaced {
		t.Errorf("a second code for a device: replaced %t, the first one of another: %t", again.Replaced, first.Replaced)
	}
	if got := w.credentials("stranger"); len(got) != 0 {
		t.Errorf("another tenant is shown %q", got)
	}
	if _, out := w.want(200, "GET", "/credentials", "", "X-Person: admin"); strings.Contains(out, first.Code) {
		t.Error("a code is shown")
	}
}

// TestEnrolmentWithRules: an admin gives a device more than its own branch; an
// operator cannot, for he would give what he has not.
func TestEnrolmentWithRules(t *testing.T) {
	w := newGuardedWorld(t)
	body := `{"device":"gate-12","area":"north","publish":["!home/gate-12/raw","home/gate-12/#"],"subscribe":["home/+/temperature"]}`
	w.want(area.CodeForbidden, "POST", "/enrolments", body, "X-Person: operator")
	w.want(area.CodeInvalid, "POST", "/enrolments", `{"device":"gate-12","area":"north","publish":["home/#/x"]}`, "X-Person: admin")
	w.want(area.CodeInvalid, "POST", "/enrolments", `{"device":"gate-12","area":"north","subscribe":["$SYS/#"]}`, "X-Person: admin")
	_, out := w.want(201, "POST", "/enrolments", body, "X-Person: admin")
	var made struct{ Code string }
	if err := json.Unmarshal([]byte(out), &made); err != nil {
		t.Fatal(err)
	}
	var got struct{ Secret string }
	_, out = w.want(200, "POST", "/enrolments/"+made.Code, "")
	if err := json.Unmarshal([]byte(out), &got); err != nil {
		t.Fatal(err)
	}
	p, err := w.auth.Password(t.Context(), "", "gate-12", got.Secret)
	if err != nil || p.Kind != auth.KindDevice {
		t.Fatalf("the device is %+v, %v", p, err)
	}
	may := p.Access()
	for topic, want := range map[string]bool{"home/gate-12/temperature": true, "home/gate-12/raw": false, "home/gate-13/x": false, "tacet/device/gate-12/status": true, "tacet/area/south/submit": false} {
		if may.MayPublish(topic) != want {
			t.Errorf("it may publish on %s: %v, want %v", topic, !want, want)
		}
	}
	if !may.MaySubscribe("home/hall/temperature") || may.MaySubscribe("home/#") {
		t.Error("its rules for reading do not count")
	}
	_, out = w.want(200, "GET", "/credentials", "", "X-Person: admin")
	if !strings.Contains(out, `"publish":["!home/gate-12/raw","home/gate-12/#"]`) {
		t.Errorf("the list has no rules: %s", out)
	}
}
