package demo

import (
	"encoding/json"
	"os"
	"time"

	"github.com/tacet-hub/tacet/broker/area"
	"github.com/tacet-hub/tacet/cmd/internal/conf"
)

// Times of a cluster that is looked at: a node that dies is missed, and its areas
// speak again, while somebody waits.
const (
	clusterBeat  = time.Second
	clusterDead  = 4 * time.Second
	clusterLease = 2 * time.Second
	clusterFirst = 10 * time.Second // until the welcome, which the nodes have to agree upon
)

// writeSite writes a node's configuration, that of [Site]. It is JSON, which YAML
// includes.
func writeSite(m member, redis string) error {
	site := Site()
	type object map[string]any
	areas, mappings, schedules := []object{}, []object{}, []object{}
	for _, a := range site.Areas {
		places := []object{}
		for _, l := range a.Locations {
			places = append(places, object{"id": l.ID, "name": l.Name})
		}
		areas = append(areas, object{"id": a.ID, "name": a.Name, "volume": a.Volume, "lease": clusterLease.String(), "locations": places})
	}
	for _, r := range site.Mappings {
		mappings = append(mappings, object{"topic": r.Topic, "format": r.Format, "fields": r.Fields})
	}
	for _, s := range site.Schedules {
		schedules = append(schedules, ruleOf(s))
	}
	text, err := json.MarshalIndent(object{
		"node": m.name, "data": m.data,
		"http": object{"addr": m.http, "admin_addr": m.admin}, "mqtt": object{"addr": m.mqtt},
		"redis": object{"url": redis, "heartbeat": clusterBeat.String(), "node_timeout": clusterDead.String()},
		"areas": areas, "mappings": mappings, "schedules": schedules,
	}, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(m.file, append(text, '\n'), 0o600)
}

func ruleOf(s conf.Schedule) map[string]any {
	out := map[string]any{"id": s.ID, "work": s.Work}
	if s.Every != nil {
		out["every"] = s.Every.String()
	} else {
		out["once"] = area.At(s.Once.Add(clusterFirst)).String()
	}
	return out
}
