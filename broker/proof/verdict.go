package proof

import (
	"fmt"
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
	// Nodes are the records that the verdict is made of, where there are several nodes:
	// this one's first.
	Nodes []Strand `json:"nodes,omitempty"`
}

// Incomplete are the nodes that may have recorded more than is known here.
func (v Verdict) Incomplete() (nodes []Strand) {
	for _, s := range v.Nodes {
		if s.Incomplete {
			nodes = append(nodes, s)
		}
	}
	return nodes
}

// Check reads the record of an area, with what is here of the records of other
// nodes; where there is none yet, the verdict has no records. It blocks while it
// reads, at most 64 MiB of each node.
func (b *Book) Check(a area.Name, since time.Time) (Verdict, error) {
	own := source{dir: filepath.Join(b.cfg.Dir, string(a))}
	others, err := b.others(a)
	if err != nil {
		return Verdict{}, err
	}
	v, err := verdictOf(append([]source{own}, others...), a, since, b.clock())
	if len(v.Nodes) > 0 {
		v.Nodes[0].Node = b.cfg.Node
	}
	return v, err
}

// CheckFiles is Check for files that no hub has: dir has those of the area, copies,
// empty or not there, those of the other nodes, by node and area.
func CheckFiles(dir, copies string, a area.Name, since time.Time) (Verdict, error) {
	others, err := copied(copies, a)
	if err != nil {
		return Verdict{}, err
	}
	return verdictOf(append([]source{{dir: dir}}, others...), a, since, time.Now().UnixMilli())
}

func verdictOf(list []source, a area.Name, since time.Time, now int64) (Verdict, error) {
	v := Verdict{Area: a, Since: area.At(since), Findings: []Finding{}, Declared: []Declaration{}}
	var audit Audit
	strands, err := together(list, since.UnixMilli(), &audit, func([]Finding) {})
	if err != nil {
		return Verdict{}, err
	}
	v.Chain, v.Counts = strands[0].chain.String(), audit.seen()
	for _, s := range strands {
		one := s.judge(now, since.UnixMilli())
		if one.Broken != "" && v.Broken == "" {
			v.Broken = one.Broken
			if !one.Own {
				v.Broken = fmt.Sprintf("node %s: %s", one.Node, one.Broken)
			}
		}
		if len(list) > 1 {
			v.Nodes = append(v.Nodes, one)
		}
	}
	v.Findings = append(v.Findings, audit.findings...)
	v.Declared = append(v.Declared, audit.declared...)
	if v.Records > 0 {
		from, to := at(audit.first), at(audit.to)
		v.From, v.To = &from, &to
	}
	v.OneVoice = v.Broken == "" && v.Overlaps == 0 && v.Intruders == 0
	return v, nil
}
