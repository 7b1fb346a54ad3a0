package settings

import (
	"encoding"
	"reflect"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// OverlayEnv lays the environment over the struct that into points to. environ
// is as os.Environ gives it. The variable of a key is prefix, such as "TACET_",
// and the key's path in capitals joined by "_"; its value is written as in the
// file ("60s", "[a, b]"), and a list of texts may also be written with commas.
// An empty variable counts as not set. What was set is noted in origins.
//
// It answers the variables with the prefix that are no key, for a warning. They
// are not refused, since others set such names too (Kubernetes sets TACET_PORT
// for a service called tacet). Its error is [Faults].
func OverlayEnv(prefix string, environ []string, into any, origins Origins) (unknown []string, err error) {
	vars := map[string]string{}
	for _, pair := range environ {
		if name, value, ok := strings.Cut(pair, "="); ok && strings.HasPrefix(name, prefix) && value != "" {
			vars[name] = value
		}
	}
	o := overlay{prefix: prefix, vars: vars, origins: origins}
	o.object(reflect.ValueOf(into).Elem(), "")
	for name := range vars {
		unknown = append(unknown, name)
	}
	slices.Sort(unknown)
	return unknown, o.faults.Err()
}

// overlay walks the keys and takes the variable of each out of vars.
type overlay struct {
	prefix  string
	vars    map[string]string
	origins Origins
	faults  Faults
}

func (o *overlay) object(v reflect.Value, key string) {
	for i := range v.NumField() {
		name := keyOf(v.Type().Field(i))
		if name == "" {
			continue
		}
		f, path := v.Field(i), Join(key, name)
		if _, text := f.Addr().Interface().(encoding.TextUnmarshaler); f.Kind() == reflect.Struct && !text {
			o.object(f, path)
			continue
		}
		o.set(f, path)
	}
}

// set fills one key from its variable, if there is one.
func (o *overlay) set(v reflect.Value, key string) {
	name := o.prefix + VarOf(key)
	text, ok := o.vars[name]
	if !ok {
		return
	}
	delete(o.vars, name)
	d := decoder{where: func(int) string { return name }, origins: o.origins}
	n, err := envNode(text, v)
	if err != nil {
		_, what := lineOf(err)
		o.faults = append(o.faults, Fault{Where: name, Key: key, Text: what})
		return
	}
	d.value(n, v, key)
	o.faults = append(o.faults, d.faults...)
}

// VarOf is the name of a key in the environment, without its prefix:
// http.admin_addr is HTTP_ADMIN_ADDR.
func VarOf(key string) string { return strings.ToUpper(strings.ReplaceAll(key, ".", "_")) }

// envNode is a variable's value as YAML. Only what can be nothing else is
// parsed: a path or a text may hold any character.
func envNode(text string, v reflect.Value) (*yaml.Node, error) {
	switch v.Kind() {
	case reflect.Slice:
		if v.Type().Elem().Kind() == reflect.String && !strings.HasPrefix(strings.TrimSpace(text), "[") {
			return commaList(text), nil
		}
		return parse([]byte(text))
	case reflect.Map, reflect.Struct, reflect.Interface:
		return parse([]byte(text))
	}
	return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: text}, nil
}

func commaList(text string) *yaml.Node {
	list := &yaml.Node{Kind: yaml.SequenceNode}
	for part := range strings.SplitSeq(text, ",") {
		if part = strings.TrimSpace(part); part != "" {
			list.Content = append(list.Content, &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: part})
		}
	}
	return list
}
