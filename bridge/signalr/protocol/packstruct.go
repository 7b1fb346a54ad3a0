package protocol

import (
	"cmp"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync"

	"github.com/tinylib/msgp/msgp"
)

// packReflect appends values of the program's own types. Structs become maps by
// the tags of encoding/json: a type has the same members in both encodings.
func packReflect(b []byte, v any, depth int) ([]byte, error) {
	r := reflect.ValueOf(v)
	switch r.Kind() {
	case reflect.Bool:
		return msgp.AppendBool(b, r.Bool()), nil
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return packInt(b, r.Int()), nil
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64, reflect.Uintptr:
		return msgp.AppendUint64(b, r.Uint()), nil
	case reflect.Float32:
		return msgp.AppendFloat32(b, float32(r.Float())), nil
	case reflect.Float64:
		return msgp.AppendFloat64(b, r.Float()), nil
	case reflect.String:
		return packText(b, r.String()), nil
	case reflect.Pointer, reflect.Interface:
		if r.IsNil() {
			return append(b, packNil), nil
		}
		return packGo(b, r.Elem().Interface(), depth-1)
	case reflect.Slice, reflect.Array:
		return packSlice(b, r, depth)
	case reflect.Map:
		return packReflectMap(b, r, depth)
	case reflect.Struct:
		return packStruct(b, r, depth)
	}
	return b, fmt.Errorf("type %T has no MessagePack", v)
}

func packSlice(b []byte, r reflect.Value, depth int) (_ []byte, err error) {
	if r.Kind() == reflect.Slice {
		if r.IsNil() {
			return append(b, packNil), nil
		}
		if r.Type().Elem().Kind() == reflect.Uint8 {
			return msgp.AppendBytes(b, r.Bytes()), nil
		}
	}
	b = msgp.AppendArrayHeader(b, uint32(r.Len()))
	for i := range r.Len() {
		if b, err = packGo(b, r.Index(i).Interface(), depth-1); err != nil {
			return b, err
		}
	}
	return b, nil
}

// packReflectMap writes keys in the order of their bytes.
func packReflectMap(b []byte, r reflect.Value, depth int) (_ []byte, err error) {
	if r.IsNil() {
		return append(b, packNil), nil
	}
	type pair struct {
		key   []byte
		value reflect.Value
	}
	pairs := make([]pair, 0, r.Len())
	for it := r.MapRange(); it.Next(); {
		k, err := packGo(nil, it.Key().Interface(), depth-1)
		if err != nil {
			return b, err
		}
		pairs = append(pairs, pair{k, it.Value()})
	}
	slices.SortFunc(pairs, func(x, y pair) int { return cmp.Compare(string(x.key), string(y.key)) })
	b = msgp.AppendMapHeader(b, uint32(len(pairs)))
	for _, p := range pairs {
		if b, err = packGo(append(b, p.key...), p.value.Interface(), depth-1); err != nil {
			return b, err
		}
	}
	return b, nil
}

// member is a field of a struct as encoding/json sees it.
type member struct {
	name      string
	index     []int
	omitEmpty bool
	omitZero  bool
}

var plans sync.Map // of []member, by type

func packStruct(b []byte, r reflect.Value, depth int) (_ []byte, err error) {
	plan, ok := plans.Load(r.Type())
	if !ok {
		plan, _ = plans.LoadOrStore(r.Type(), membersOf(r.Type()))
	}
	at := len(b)
	b = append(b, 0xde, 0, 0) // a map whose length is not known yet
	n := 0
	for _, m := range plan.([]member) {
		f, err := r.FieldByIndexErr(m.index)
		if err != nil || m.omitEmpty && empty(f) || m.omitZero && zero(f) {
			continue // behind a nil pointer, or left out
		}
		if b, err = packGo(msgp.AppendString(b, m.name), f.Interface(), depth-1); err != nil {
			return b, err
		}
		n++
	}
	if n > 0x0f {
		b[at+1], b[at+2] = byte(n>>8), byte(n)
		return b, nil
	}
	b[at] = packFixMap | byte(n)
	return append(b[:at+1], b[at+3:]...), nil
}

// membersOf lists the members of a struct. Of several with one name the least
// nested counts.
func membersOf(t reflect.Type) []member {
	var list []member
	for _, f := range reflect.VisibleFields(t) {
		tag := f.Tag.Get("json")
		name, options, _ := strings.Cut(tag, ",")
		if tag == "-" || !reachable(t, f) || f.Anonymous && name == "" && structure(f.Type) {
			continue
		}
		if name == "" {
			name = f.Name
		}
		m := member{name: name, index: f.Index}
		for _, o := range strings.Split(options, ",") {
			m.omitEmpty = m.omitEmpty || o == "omitempty"
			m.omitZero = m.omitZero || o == "omitzero"
		}
		if i := slices.IndexFunc(list, func(x member) bool { return x.name == name }); i < 0 {
			list = append(list, m)
		} else if len(list[i].index) > len(m.index) {
			list[i] = m
		}
	}
	return list
}

// reachable says that f is exported and lies only in embedded structs that are
// members of t themselves.
func reachable(t reflect.Type, f reflect.StructField) bool {
	if !f.IsExported() {
		return false
	}
	for i := 1; i < len(f.Index); i++ {
		outer := t.FieldByIndex(f.Index[:i])
		if name, _, _ := strings.Cut(outer.Tag.Get("json"), ","); name != "" {
			return false // a member with a name of its own
		}
		if !outer.IsExported() && outer.Type.Kind() == reflect.Pointer {
			return false
		}
	}
	return true
}

func structure(t reflect.Type) bool {
	return t.Kind() == reflect.Struct || t.Kind() == reflect.Pointer && t.Elem().Kind() == reflect.Struct
}

func empty(v reflect.Value) bool {
	switch v.Kind() {
	case reflect.Array, reflect.Map, reflect.Slice, reflect.String:
		return v.Len() == 0
	case reflect.Struct:
		return false
	}
	return v.IsZero()
}

func zero(v reflect.Value) bool {
	if z, ok := v.Interface().(interface{ IsZero() bool }); ok {
		return v.Kind() == reflect.Pointer && v.IsNil() || z.IsZero()
	}
	return v.IsZero()
}
