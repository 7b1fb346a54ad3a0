package interest

import "testing"

func TestTree(t *testing.T) {
	var i Tree
	for _, filter := range []string{"a/b", "a/+/c", "d/#", "$share/g/s/+", "$SYS/x"} {
		i.Add(filter)
	}
	i.Add("a/b")
	i.Remove("a/b")
	check := func(topic string, want bool) {
		t.Helper()
		if got := i.Match(topic); got != want {
			t.Errorf("%s matches: %t, want %t", topic, got, want)
		}
	}
	for topic, want := range map[string]bool{
		"a/b": true, "a/x/c": true, "a/x/d": false, "a": false, "d": true, "d/e/f": true, "s/x": true, "s": false, "$SYS/x": true, "$SYS/y": false, "": false,
	} {
		check(topic, want)
	}
	for _, filter := range []string{"a/b", "a/+/c", "d/#", "$share/g/s/+", "$SYS/x"} {
		i.Remove(filter)
	}
	i.Add("#")
	check("$SYS/x", false)
	check("x", true)
	i.Remove("#")
	check("x", false)
	if len(i.root.next) != 0 {
		t.Errorf("left over: %v", i.root.next)
	}
}
