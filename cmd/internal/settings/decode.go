package settings

import (
	"encoding"
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

// maxDepth bounds how deep a document is followed, so that an alias that holds
// itself ends.
const maxDepth = 32

// defaulter is a list's element that has defaults of its own.
type defaulter interface{ SetDefaults() }

// decoder fills a struct from a YAML tree. It goes on after a fault. The YAML
// package's own decoder stops at the first value that a type refuses and does
// not say on which line.
type decoder struct {
	where   func(line int) string
	origins Origins
	faults  Faults
	depth   int
}

// into fills the struct that ptr points to.
func (d *decoder) into(n *yaml.Node, ptr any) { d.value(n, reflect.ValueOf(ptr).Elem(), "") }

func (d *decoder) fault(n *yaml.Node, key, format string, args ...any) {
	d.faults = append(d.faults, Fault{Where: d.where(n.Line), Key: key, Text: fmt.Sprintf(format, args...)})
}

// value fills v from n. A null leaves v as it is.
func (d *decoder) value(n *yaml.Node, v reflect.Value, key string) {
	if d.depth++; d.depth > maxDepth {
		d.fault(n, key, "more than %d levels deep", maxDepth)
	}
	defer func() { d.depth-- }()
	if d.depth > maxDepth {
		return
	}
	if n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	if key != "" {
		d.origins[key] = d.where(n.Line)
	}
	if n.Kind == yaml.ScalarNode && n.Tag == "!!null" {
		return
	}
	if u, ok := v.Addr().Interface().(encoding.TextUnmarshaler); ok {
		d.text(n, u, key)
		return
	}
	switch v.Kind() {
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		d.value(n, v.Elem(), key)
	case reflect.Struct:
		d.object(n, v, key)
	case reflect.Map:
		d.table(n, v, key)
	case reflect.Slice:
		d.list(n, v, key)
	case reflect.Interface:
		if err := n.Decode(v.Addr().Interface()); err != nil {
			d.fault(n, key, "%v", err)
		}
	default:
		d.scalar(n, v, key)
	}
}

func (d *decoder) text(n *yaml.Node, u encoding.TextUnmarshaler, key string) {
	if n.Kind != yaml.ScalarNode {
		d.fault(n, key, "%s, where one value is expected", shape(n))
	} else if err := u.UnmarshalText([]byte(n.Value)); err != nil {
		d.fault(n, key, "%s", Detail(err))
	}
}

// object fills a struct, field by field, and refuses keys that it has not and
// keys written twice.
func (d *decoder) object(n *yaml.Node, v reflect.Value, key string) {
	if n.Kind != yaml.MappingNode {
		d.fault(n, key, "%s, where keys are expected", shape(n))
		return
	}
	known := Fields(v.Type())
	seen := map[string]int{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		name := n.Content[i]
		path := Join(key, name.Value)
		if line, twice := seen[name.Value]; twice {
			d.fault(name, path, "written twice, first on line %d", line)
			continue
		}
		seen[name.Value] = name.Line
		index, ok := known[name.Value]
		if !ok {
			d.fault(name, path, "unknown key%s", Suggest(name.Value, known))
			continue
		}
		d.value(n.Content[i+1], v.Field(index), path)
		d.origins[path] = d.where(name.Line)
	}
}

func (d *decoder) table(n *yaml.Node, v reflect.Value, key string) {
	if n.Kind != yaml.MappingNode {
		d.fault(n, key, "%s, where keys are expected", shape(n))
		return
	}
	v.Set(reflect.MakeMap(v.Type()))
	for i := 0; i+1 < len(n.Content); i += 2 {
		name := n.Content[i]
		if v.MapIndex(reflect.ValueOf(name.Value)).IsValid() {
			d.fault(name, Join(key, name.Value), "written twice")
			continue
		}
		e := reflect.New(v.Type().Elem()).Elem()
		d.value(n.Content[i+1], e, Join(key, name.Value))
		v.SetMapIndex(reflect.ValueOf(name.Value), e)
	}
}

// list replaces v. One value stands for a list of one.
func (d *decoder) list(n *yaml.Node, v reflect.Value, key string) {
	items := n.Content
	if n.Kind != yaml.SequenceNode {
		if n.Kind != yaml.ScalarNode {
			d.fault(n, key, "%s, where a list is expected", shape(n))
			return
		}
		items = []*yaml.Node{n}
	}
	out := reflect.MakeSlice(v.Type(), len(items), len(items))
	for i, item := range items {
		e := out.Index(i)
		if def, ok := e.Addr().Interface().(defaulter); ok {
			def.SetDefaults()
		}
		d.value(item, e, key+"["+strconv.Itoa(i)+"]")
	}
	v.Set(out)
}

func (d *decoder) scalar(n *yaml.Node, v reflect.Value, key string) {
	if n.Kind != yaml.ScalarNode {
		d.fault(n, key, "%s, where one value is expected", shape(n))
		return
	}
	if err := setScalar(n.Value, v); err != nil {
		d.fault(n, key, "%v", err)
	}
}

func setScalar(text string, v reflect.Value) error {
	if v.Type() == reflect.TypeFor[time.Duration]() {
		length, err := time.ParseDuration(text)
		if err != nil {
			return fmt.Errorf("%q is not a number with a unit, such as \"60s\"", text)
		}
		v.SetInt(int64(length))
		return nil
	}
	switch v.Kind() {
	case reflect.String:
		v.SetString(text)
		return nil
	case reflect.Bool:
		b, err := strconv.ParseBool(text)
		if err != nil {
			return fmt.Errorf("%q is neither true nor false", text)
		}
		v.SetBool(b)
		return nil
	case reflect.Float64:
		f, err := strconv.ParseFloat(text, 64)
		if err != nil {
			return fmt.Errorf("%q is not a number", text)
		}
		v.SetFloat(f)
		return nil
	}
	return setInteger(text, v)
}

func setInteger(text string, v reflect.Value) error {
	plain := strings.ReplaceAll(text, "_", "")
	switch {
	case v.CanInt():
		i, err := strconv.ParseInt(plain, 0, v.Type().Bits())
		if err != nil {
			return fmt.Errorf("%q is not a whole number that fits", text)
		}
		v.SetInt(i)
	case v.CanUint():
		u, err := strconv.ParseUint(plain, 0, v.Type().Bits())
		if err != nil {
			return fmt.Errorf("%q is not a whole number from 0 that fits", text)
		}
		v.SetUint(u)
	default:
		return fmt.Errorf("a %s cannot be configured", v.Type())
	}
	return nil
}

// Fields is the keys of a struct: the yaml tags of its fields, else the json
// tags; a field without either is not a key.
func Fields(t reflect.Type) map[string]int {
	keys := map[string]int{}
	for i := range t.NumField() {
		if name := keyOf(t.Field(i)); name != "" {
			keys[name] = i
		}
	}
	return keys
}

func keyOf(f reflect.StructField) string {
	tag, ok := f.Tag.Lookup("yaml")
	if !ok {
		tag = f.Tag.Get("json")
	}
	name, _, _ := strings.Cut(tag, ",")
	if name == "-" || !f.IsExported() {
		return ""
	}
	return name
}

func shape(n *yaml.Node) string {
	switch n.Kind {
	case yaml.MappingNode:
		return "keys"
	case yaml.SequenceNode:
		return "a list"
	}
	return strconv.Quote(n.Value)
}

func Join(key, name string) string {
	if key == "" {
		return name
	}
	return key + "." + name
}
