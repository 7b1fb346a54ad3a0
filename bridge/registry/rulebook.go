package registry

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/tacet-hub/tacet/bridge/mapping"
	"github.com/tacet-hub/tacet/broker/area"
)

// mostMappings is how many mappings may be made by REST.
const mostMappings = 10_000

// Rulebook is the operator's mappings: those of the configuration, in its order,
// and behind them those that were made by REST, in the order of their ids. It is
// safe for concurrent use.
type Rulebook struct {
	table   Table
	changed func(*mapping.Table)
	log     *slog.Logger

	mu     sync.Mutex // held for the whole of a change, so that disk, rules and readers agree
	config []mapping.Rule
	made   map[string]mapping.Rule
	rules  *mapping.Table
}

// NewRulebook makes a rulebook of the configuration's rules and of the table's.
// changed gets the compiled rules after each change; it must only hand them on.
// A record that cannot be read, or is no rule of this version, stays where it
// is, and the log has it as an error. Its errors are those of
// [mapping.Compile] and of the table.
func NewRulebook(t Table, config []mapping.Rule, changed func(*mapping.Table), log *slog.Logger) (*Rulebook, error) {
	b := &Rulebook{table: t, changed: changed, log: log, made: map[string]mapping.Rule{}}
	err := t.Load(func(id string, value []byte) error {
		r, err := readRule(value)
		if err != nil {
			log.Error("stored mapping cannot be read", "rule", id, "err", err)
			return nil
		}
		b.made[id] = r
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("mappings: %w", err)
	}
	b.rules, err = b.compile(config, b.made)
	b.config = config
	return b, err
}

func (b *Rulebook) compile(config []mapping.Rule, made map[string]mapping.Rule) (*mapping.Table, error) {
	all := slices.Clone(config)
	for _, id := range slices.Sorted(maps.Keys(made)) {
		all = append(all, made[id])
	}
	return mapping.Compile(all)
}

// Rules is the compiled rules as they are now.
func (b *Rulebook) Rules() *mapping.Table {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.rules
}

// Configure takes the mappings of a configuration that was read again. Its error
// is that of [mapping.Compile]; then the old ones stay.
func (b *Rulebook) Configure(config []mapping.Rule) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	rules, err := b.compile(config, b.made)
	if err != nil {
		return err
	}
	b.config = config
	b.use(rules)
	return nil
}

// use puts compiled rules in force; the caller holds the lock.
func (b *Rulebook) use(rules *mapping.Table) {
	b.rules = rules
	b.changed(rules)
}

// Mappings lists all mappings, those of the configuration first. It is never
// nil.
func (b *Rulebook) Mappings() []mapping.Entry {
	b.mu.Lock()
	defer b.mu.Unlock()
	list := make([]mapping.Entry, 0, len(b.config)+len(b.made))
	for i, r := range b.config {
		list = append(list, mapping.Entry{ID: configID(i), Rule: r, Source: area.SourceConfig})
	}
	for _, id := range slices.Sorted(maps.Keys(b.made)) {
		list = append(list, mapping.Entry{ID: id, Rule: b.made[id], Source: area.SourceAPI})
	}
	return list
}

// configPrefix begins the ids of the configuration's mappings, which have none
// of their own.
const configPrefix = "config-"

func configID(i int) string { return configPrefix + strconv.Itoa(i+1) }

// Mapping is one mapping. Its error is of code not_found.
func (b *Rulebook) Mapping(id string) (mapping.Entry, error) {
	for _, e := range b.Mappings() {
		if e.ID == id {
			return e, nil
		}
	}
	return mapping.Entry{}, area.Errorf(area.CodeNotFound, "no mapping %.80q", id)
}

// CreateMapping keeps a new mapping; it blocks for the disk, ten seconds at
// most. Its error is an [area.Error]: exists, invalid, disk_full.
func (b *Rulebook) CreateMapping(ctx context.Context, e mapping.Entry) (mapping.Entry, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if _, known := b.made[e.ID]; known || strings.HasPrefix(e.ID, configPrefix) {
		return e, area.Errorf(area.CodeExists, "mapping %s exists", e.ID)
	}
	if len(b.made) >= mostMappings {
		return e, area.Errorf(area.CodeDiskFull, "there are %d mappings already", mostMappings)
	}
	return b.keep(ctx, e)
}

// ReplaceMapping keeps another rule in the place of one that was made by REST.
// Its error is an [area.Error]: not_found, configured, invalid, disk_full.
func (b *Rulebook) ReplaceMapping(ctx context.Context, e mapping.Entry) (mapping.Entry, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if err := b.mine(e.ID); err != nil {
		return e, err
	}
	return b.keep(ctx, e)
}

// mine looks whether a mapping may be changed; the caller holds the lock.
func (b *Rulebook) mine(id string) error {
	if _, known := b.made[id]; known {
		return nil
	}
	if n, ok := strings.CutPrefix(id, configPrefix); ok {
		if i, err := strconv.Atoi(n); err == nil && i >= 1 && i <= len(b.config) && configID(i-1) == id {
			return area.Errorf(area.CodeConfigured, "mapping %s is the configuration file's", id)
		}
	}
	return area.Errorf(area.CodeNotFound, "no mapping %.80q", id)
}

// keep makes a rule durable and puts it in force; the caller holds the lock.
func (b *Rulebook) keep(ctx context.Context, e mapping.Entry) (mapping.Entry, error) {
	e.Source = area.SourceAPI
	if err := mapping.Check(e.Rule); err != nil {
		return e, area.InvalidField("topic", "%s", strings.ReplaceAll(err.Error(), "\n", "; "))
	}
	made := maps.Clone(b.made)
	made[e.ID] = e.Rule
	rules, err := b.compile(b.config, made)
	if err != nil {
		return e, area.InvalidField("topic", "%s", err.Error())
	}
	value, err := json.Marshal(e.Rule)
	if err != nil {
		return e, fmt.Errorf("mapping %s: %w", e.ID, err)
	}
	ctx, cancel := context.WithTimeout(ctx, putWait)
	defer cancel()
	if err := b.table.Put(ctx, e.ID, value); err != nil {
		return e, fmt.Errorf("keep mapping %s: %w", e.ID, err)
	}
	b.made = made
	b.use(rules)
	return e, nil
}

// DeleteMapping takes a mapping away that was made by REST. Its error is an
// [area.Error]: not_found, configured.
func (b *Rulebook) DeleteMapping(ctx context.Context, id string) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if err := b.mine(id); err != nil {
		return err
	}
	made := maps.Clone(b.made)
	delete(made, id)
	rules, err := b.compile(b.config, made)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, putWait)
	defer cancel()
	if err := b.table.Delete(ctx, id); err != nil {
		return fmt.Errorf("take mapping %s away: %w", id, err)
	}
	b.made = made
	b.use(rules)
	return nil
}

// Changed takes in a mapping that was made or changed elsewhere, or taken away (value
// nil), and is in the table already. One that cannot be read, or does not go with the
// others, is left out as at a start, and the log has it as an error.
func (b *Rulebook) Changed(id string, value []byte) {
	b.mu.Lock()
	defer b.mu.Unlock()
	made := maps.Clone(b.made)
	delete(made, id)
	if value != nil {
		r, err := readRule(value)
		if err != nil {
			b.log.Error("stored mapping cannot be read", "rule", id, "err", err)
		} else {
			made[id] = r
		}
	}
	rules, err := b.compile(b.config, made)
	if err != nil {
		b.log.Error("mapping does not go with the others", "rule", id, "err", err)
		return
	}
	b.made = made
	b.use(rules)
}

func readRule(value []byte) (r mapping.Rule, err error) {
	if err = json.Unmarshal(value, &r); err != nil {
		return r, err
	}
	return r, mapping.Check(r)
}
