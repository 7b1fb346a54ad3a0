package area

import (
	"strings"
	"testing"
	"time"
)

func TestPollsAndVotesOnTheWire(t *testing.T) {
	p := Poll{Area: "north", Arbiter: "hub-1", Term: 65, N: 7, Vote: 10250 * time.Millisecond}
	const poll = `{"v":1,"area":"north","arbiter":"hub-1","term":65,"n":7,"vote_ms":10250}`
	if got := string(p.Encode()); got != poll {
		t.Errorf("poll %s, want %s", got, poll)
	}
	if back, err := ParsePoll([]byte(poll)); err != nil || back != p {
		t.Errorf("read back: %+v, %v", back, err)
	}
	v := Vote{Arbiter: "hub-1", Term: 65, N: 7, MID: "9f"}
	const vote = `{"v":1,"arbiter":"hub-1","term":65,"n":7,"mid":"9f"}`
	if got := string(v.Encode()); got != vote {
		t.Errorf("vote %s, want %s", got, vote)
	}
	if back, err := ParseVote([]byte(vote)); err != nil || back != v {
		t.Errorf("read back: %+v, %v", back, err)
	}
	for _, bad := range []string{``, `[]`, `{}`, `{"area":"a b","arbiter":"x"}`, `{"area":"a","arbiter":"x","term":-1}`, `{"area":"a","arbiter":"x","n":-1}`,
		`{"area":"a","arbiter":"x","vote_ms":-1}`, `{"area":"a","arbiter":"` + strings.Repeat("x", 200) + `"}`} {
		if _, err := ParsePoll([]byte(bad)); err == nil {
			t.Errorf("poll %s was read", bad)
		}
	}
	for _, bad := range []string{``, `{}`, `{"arbiter":"x","term":9007199254740993}`, `{"arbiter":"x","n":-1}`, `{"arbiter":"x","mid":"` + strings.Repeat("x", 200) + `"}`} {
		if _, err := ParseVote([]byte(bad)); err == nil {
			t.Errorf("vote %s was read", bad)
		}
	}
}

func FuzzVote(f *testing.F) {
	f.Add([]byte(`{"v":1,"arbiter":"hub-1","term":65,"n":7,"mid":"9f"}`))
	f.Add([]byte(`{"v":1,"area":"north","arbiter":"hub-1","term":65,"n":7,"vote_ms":10250}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		if v, err := ParseVote(b); err == nil {
			if again, err := ParseVote(v.Encode()); err != nil || again != v {
				t.Errorf("%s became %+v, %v", b, again, err)
			}
		}
		if p, err := ParsePoll(b); err == nil {
			if again, err := ParsePoll(p.Encode()); err != nil || again != p {
				t.Errorf("%s became %+v, %v", b, again, err)
			}
		}
	})
}
