package backplane

import (
	"testing"
	"time"
)

func TestEldest(t *testing.T) {
	at := func(s int64) time.Time { return time.Unix(s, 0) }
	list := []Node{{Name: "d", Since: at(1), Note: WithoutBroker}, {Name: "a", Since: at(3)}, {Name: "c", Since: at(2)}, {Name: "b", Since: at(2)}}
	if n, ok := Eldest(list, func(n Node) bool { return n.Note != WithoutBroker }); !ok || n.Name != "b" {
		t.Errorf("it is %q, %v", n.Name, ok)
	}
	if n, ok := Eldest(list, func(Node) bool { return false }); ok {
		t.Errorf("nobody fits, and it is %q", n.Name)
	}
}
