package order

import (
	"log/slog"
	"testing"
	"time"

	"github.com/tacet-hub/tacet/broker/area"
)

// BenchmarkAccept takes orders into an area in which a hundred wait.
func BenchmarkAccept(b *testing.B) {
	s, err := New(Config{}, NewMemory(0), newSite(), &desk{}, Speech{}, time.Now, slog.New(slog.DiscardHandler))
	if err != nil {
		b.Fatal(err)
	}
	for range 100 {
		if _, err := s.Accept(b.Context(), say("north", "hello"), By{}); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportAllocs()
	for b.Loop() {
		o, err := s.Accept(b.Context(), say("north", "hello"), By{})
		if err != nil {
			b.Fatal(err)
		}
		s.Report(area.Report{Work: o.ID, State: area.OrderPlayed})
		s.apply()
		s.flush(b.Context())
	}
}
