package main

import (
	"bytes"
	"testing"
	"time"

	"github.com/tacet-hub/tacet/bridge/redis/redistest"
)

// TestClusterKeepsNothing: 10,000 connections that come and go at two nodes leave
// neither memory, goroutines nor descriptors there, and no key at the server between
// them.
func TestClusterKeepsNothing(t *testing.T) {
	var out bytes.Buffer
	b := clusterBench{only: []string{"churn"}, program: redistest.Program, out: &out}
	if err := b.run(t.Context()); err != nil {
		t.Error(err)
	}
	t.Log(out.String())
}

// TestClusterMeasures: what has no bound that a busy machine can break is measured.
func TestClusterMeasures(t *testing.T) {
	for _, sc := range clusterScenarios {
		if sc.name == "churn" || sc.name == "kill" {
			continue
		}
		var out bytes.Buffer
		b := clusterBench{length: time.Second, program: redistest.Program, out: &out}
		last, err := b.scenario(t.Context(), sc)
		if err != nil {
			t.Errorf("%s: %v", sc.name, err)
		}
		for _, a := range sc.aims {
			if last.Figures[a.figure] <= 0 {
				t.Errorf("%s has no %s: %s", sc.name, a.figure, out.String())
			}
		}
	}
}
