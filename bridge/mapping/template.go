package mapping

import (
	"fmt"
	"strings"
)

// template is text with captures in it, taken apart. The empty template
// renders as nothing.
type template []part

// part is text, or the topic's level where level is not -1.
type part struct {
	text  string
	level int
}

// parseTemplate takes text apart; every capture in it must be one of the
// topic's.
func parseTemplate(text string, captures map[string]int) (template, error) {
	var t template
	for text != "" {
		before, rest, ok := strings.Cut(text, "{")
		if strings.Contains(before, "}") {
			return nil, fmt.Errorf("%q has a } without {", text)
		}
		if before != "" {
			t = append(t, part{text: before, level: -1})
		}
		if !ok {
			return t, nil
		}
		name, after, closed := strings.Cut(rest, "}")
		level, known := captures[name]
		if !closed || !known {
			return nil, fmt.Errorf("the topic captures no {%s}", name)
		}
		t, text = append(t, part{level: level}), after
	}
	return t, nil
}

// constant is the text of a template without captures.
func (t template) constant() (string, bool) {
	switch {
	case len(t) == 0:
		return "", true
	case len(t) == 1 && t[0].level < 0:
		return t[0].text, true
	}
	return "", false
}

// render fills in the levels of a topic.
func (t template) render(levels []string) string {
	if len(t) == 1 {
		return t[0].of(levels)
	}
	var b strings.Builder
	for _, p := range t {
		b.WriteString(p.of(levels))
	}
	return b.String()
}

func (p part) of(levels []string) string {
	if p.level < 0 {
		return p.text
	}
	return levels[p.level]
}
