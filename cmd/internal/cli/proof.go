package cli

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"net/url"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/tacet-hub/tacet/broker/area"
	"github.com/tacet-hub/tacet/broker/proof"
)

// areaProof prints what the record of an area says. Its exit code is 1 where that
// is not one voice.
func areaProof(env Env) *cobra.Command {
	var f hubFlags
	var since time.Duration
	var offline bool
	c := &cobra.Command{
		Use:   "proof AREA",
		Short: "Judge the record of an area: did ever two devices sound at once?",
		Long: "Judge the record of an area: did ever two devices sound at once?\n\n" +
			"The devices tell when they sounded, in their own clocks; the hub keeps that and its grants in a chained log. Where there are several nodes each has copies of the others' logs,\n" +
			"all are judged together, and what is not known of a node is said.\n" +
			"With --offline the files below --data are read where they lie, and no hub is asked. Exit code 1: not one voice.",
		Args: exactly(1),
		RunE: func(c *cobra.Command, args []string) error {
			name, err := area.ParseName(args[0])
			if err != nil {
				return Usagef("%v", err)
			}
			if since < time.Second {
				return Usagef("--since %s is less than 1s", since)
			}
			v, body, err := proofOf(c, env, &f, name, since, offline)
			if err != nil {
				return err
			}
			if f.json {
				err = printJSON(c, body)
			} else {
				err = printVerdict(c.OutOrStdout(), v)
			}
			switch {
			case err != nil:
			case v.Broken != "":
				err = &Error{Exit: ExitFailed, Code: "not_proved", Detail: "the record of area " + string(name) + " is not whole: " + v.Broken}
			case !v.OneVoice:
				err = &Error{Exit: ExitFailed, Code: "not_one_voice", Detail: fmt.Sprintf("%d overlaps, %d intruders in area %s", v.Overlaps, v.Intruders, name)}
			}
			return err
		},
	}
	f.register(c)
	c.Flags().DurationVar(&since, "since", 24*time.Hour, "how far back")
	c.Flags().BoolVar(&offline, "offline", false, "read the files below --data where they lie; no hub is asked")
	return c
}

// proofOf asks the hub, or reads the files.
func proofOf(c *cobra.Command, env Env, f *hubFlags, name area.Name, since time.Duration, offline bool) (v proof.Verdict, body []byte, err error) {
	if offline {
		data := f.directory(env)
		if v, err = proof.CheckFiles(filepath.Join(data, "proof", string(name)), filepath.Join(data, "proof-of"), name, time.Now().Add(-since)); err != nil {
			return v, nil, err
		}
		if v.Records == 0 {
			return v, nil, &Error{Exit: ExitFailed, Code: string(area.CodeNotFound), Detail: fmt.Sprintf("no record of area %s in %s since then", name, data)}
		}
		body, err = json.Marshal(v)
		return v, body, err
	}
	hub, err := f.client(env)
	if err != nil {
		return v, nil, err
	}
	path := "/areas/" + url.PathEscape(string(name)) + "/proof?since=" + url.QueryEscape(since.String())
	if body, err = hub.do(c.Context(), "GET", path, nil); err != nil {
		return v, nil, err
	}
	return v, body, decode(body, &v)
}

// byChoice tells whether all that is against one voice was declared by nodes that
// granted by themselves.
func byChoice(v proof.Verdict) bool {
	n := uint64(0)
	for _, f := range v.Findings {
		if f.Is == proof.Overlap && f.Declared == proof.PerNode {
			n++
		}
	}
	return n > 0 && n == v.Overlaps && v.Intruders == 0
}

// declared is what a declaration says of itself.
func declared(d proof.Declaration) string {
	if d.Is == proof.Barge {
		return fmt.Sprintf("%s over %s, token %d", d.Device, d.Over, d.Token)
	}
	until := "not over yet"
	if d.To != nil {
		until = "to " + d.To.String()
	}
	if d.Is == proof.PerNode {
		return fmt.Sprintf("node %s by term %d, %s", d.Node, d.Own, until)
	}
	return fmt.Sprintf("%s by term %d, the hub by %d, %s", d.Device, d.Term, d.Own, until)
}

// incomplete says of which nodes the record may go on, and up to when it is known.
func incomplete(v proof.Verdict) string {
	var list []string
	for _, s := range v.Incomplete() {
		text := "node " + s.Node + " nothing is here"
		if until := knownTo(s); until != "" {
			text = "node " + s.Node + " nothing is here from " + until + " on"
		}
		list = append(list, text)
	}
	return printable(strings.Join(list, ", "))
}

// knownTo is up to when the record of a node is here.
func knownTo(s proof.Strand) string {
	switch {
	case s.Known != nil:
		return s.Known.String()
	case s.To != nil:
		return s.To.String()
	}
	return ""
}

// strand is what one node has recorded.
func strand(s proof.Strand) string {
	name := cmp.Or(s.Node, "(this one)")
	text := fmt.Sprintf("%s: %d lines", name, s.Records)
	if !s.Own {
		text += fmt.Sprintf(", copied here; its clock is %d ms ahead, to %d ms", s.ClockMs, s.ClockErrorMs)
	}
	if s.Incomplete {
		text += "; INCOMPLETE, known to " + cmp.Or(knownTo(s), "nothing")
	}
	if s.Behind > 0 {
		text += fmt.Sprintf(", %d lines are not here yet", s.Behind)
	}
	if s.Broken != "" {
		text += "; broken: " + s.Broken
	}
	return text
}

func printVerdict(out io.Writer, v proof.Verdict) error {
	var b strings.Builder
	head := "one voice"
	switch {
	case v.Broken != "":
		head = "NOT PROVED: the record was changed or damaged"
	case byChoice(v):
		head = "NOT ONE VOICE, but one per node: the ledger of the nodes was away, and the area is set to that"
	case !v.OneVoice:
		head = "NOT ONE VOICE"
	case v.Records == 0:
		head = "nothing was recorded"
	case v.Measured == 0:
		head = "no overlap is known, and no play was measured"
	case len(v.Incomplete()) > 0:
		head = "one voice, as far as it is known: of the record of " + incomplete(v)
	case v.Unmeasured+v.Awaited > 0 || v.Owed > 0:
		head = fmt.Sprintf("one voice in the %d plays that were measured", v.Measured)
	}
	fmt.Fprintf(&b, "%s: %s\n", v.Area, head)
	if v.From != nil && v.To != nil {
		fmt.Fprintf(&b, "record    %s to %s, %d lines\n", v.From, v.To, v.Records)
	}
	fmt.Fprintf(&b, "plays     %d, of which %d measured by the device, %d not\n", v.Plays, v.Measured, v.Unmeasured)
	fmt.Fprintf(&b, "overlaps  %d\nintruders %d\n", v.Overlaps, v.Intruders)
	if v.Conflicts > 0 {
		fmt.Fprintf(&b, "conflicts %d (a device said that it plays without a right)\n", v.Conflicts)
	}
	if v.Barges > 0 {
		fmt.Fprintf(&b, "barges    %d, declared (an emergency did not wait for a device that did not answer)\n", v.Barges)
	}
	if v.Splits > 0 {
		fmt.Fprintf(&b, "splits    %d, declared (the hub took the area while its leader may have gone on)\n", v.Splits)
	}
	if v.PerNode > 0 {
		fmt.Fprintf(&b, "per node  %d, declared (a node granted to its own devices while the ledger of the nodes was away)\n", v.PerNode)
	}
	if v.Awaited > 0 {
		fmt.Fprintf(&b, "awaited   %d plays of which their leader told, and whose record is not here\n", v.Awaited)
	}
	if v.Owed > 0 {
		fmt.Fprintf(&b, "owed      %d records and ends of orders that the area's leader has not handed up yet\n", v.Owed)
	}
	if v.Gaps > 0 {
		fmt.Fprintf(&b, "gaps      %d, %s in all, in which no hub wrote\n", v.Gaps, time.Duration(v.GapMs)*time.Millisecond)
	}
	if v.Missing > 0 {
		fmt.Fprintf(&b, "missing   %d records could not be written\n", v.Missing)
	}
	if v.Broken != "" {
		fmt.Fprintf(&b, "broken    %s\n", printable(v.Broken))
	}
	fmt.Fprintf(&b, "chain     %s\n", printable(v.Chain))
	for _, s := range v.Nodes {
		fmt.Fprintf(&b, "node      %s\n", printable(strand(s)))
	}
	for _, f := range v.Findings {
		fmt.Fprintf(&b, "%s  %s  %s", f.At, f.Is, f.Device)
		if len(f.Plays) == 2 {
			fmt.Fprintf(&b, " over %s for %d ms", f.Plays[0].Device, f.Ms)
		}
		if f.Declared != "" {
			fmt.Fprintf(&b, ", declared: %s", f.Declared)
		}
		b.WriteString("\n")
	}
	for _, d := range v.Declared {
		fmt.Fprintf(&b, "%s  %s  %s\n", d.At, d.Is, declared(d))
	}
	_, err := io.WriteString(out, b.String())
	return err
}
