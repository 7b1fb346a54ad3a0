package proof

import (
	"path/filepath"
	"time"

	"github.com/tacet-hub/tacet/broker/area"
)

// Verdict is what the record of an area says about a time.
type Verdict struct {
	Area     area.Name  `json:"area"`
	Since    area.Time  `json:"since"`     // asked for
	From     *area.Time `json:"from"`      // first record in it; null: there is none
	To       *area.Time `json:"to"`        // last record
	OneVoice bool       `json:"one_voice"` // no overlap, no intruder, and the chain is whole
	Counts
	Owed     int           `json:"owed"`             // what the area's leader says that it has yet to hand up; the caller fills it in, who knows the leader
	Chain    string        `json:"chain"`            // sum of the newest line: whoever keeps it can tell later that nothing was changed up to here
	Broken   string        `json:"broken,omitempty"` // where the chain is not whole
	Findings []Finding     `json:"findings"`         // at most 1,000
	Declared []Declaration `json:"declared"`         // at most 1,000
}

// Check reads the record of an area; where there is none yet, the verdict has no
// records. It blocks while it reads, at most 64 MiB.
func (b *Book) Check(a area.Name, since time.Time) (Verdict, error) {
	return CheckFiles(filepath.Join(b.cfg.Dir, string(a)), a, since)
}

// CheckFiles is Check for a directory with the files of one area, which need no
// hub.
func CheckFiles(dir string, a area.Name, since time.Time) (Verdict, error) {
	v := Verdict{Area: a, Since: area.At(since), Findings: []Finding{}, Declared: []Declaration{}}
	var audit Audit
	chain, broken, err := readAll(dir, func(r Record) {
		if r.T >= since.UnixMilli() {
			audit.Take(r)
		}
	})
	if err != nil {
		return Verdict{}, err
	}
	v.Chain, v.Broken, v.Counts = chain.String(), broken, audit.seen()
	v.Findings = append(v.Findings, audit.findings...)
	v.Declared = append(v.Declared, audit.declared...)
	if v.Records > 0 {
		from, to := at(audit.from), at(audit.to)
		v.From, v.To = &from, &to
	}
	v.OneVoice = broken == "" && v.Overlaps == 0 && v.Intruders == 0
	return v, nil
}
