package redis

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/tacet-hub/tacet/bridge/backplane"
	"github.com/tacet-hub/tacet/bridge/backplane/backplanetest"
	"github.com/tacet-hub/tacet/bridge/redis/redistest"
	"github.com/tacet-hub/tacet/bridge/replay/replaytest"
	"github.com/tacet-hub/tacet/broker/estate"
	"github.com/tacet-hub/tacet/broker/estate/estatetest"
	"github.com/tacet-hub/tacet/broker/proof"
	"github.com/tacet-hub/tacet/broker/proof/prooftest"
	"github.com/tacet-hub/tacet/broker/reign/reigntest"
	"github.com/tacet-hub/tacet/broker/shared"
	"github.com/tacet-hub/tacet/broker/shared/sharedtest"
)

// everywhere are the commands that Redis, Valkey and Garnet all have. Garnet's are those
// of its "API compatibility" page (website/docs/commands/api-compatibility.md); of
// streams it has some, as an experiment, and can bound none while something is added.
var everywhere = strings.Fields(`Get Mget Set Del Rename Exists Pexpire Pttl Incrby
	Hget Hgetall Hmget Hset Hsetnx Hdel Hincrby Hscan
	Sadd Srem Smembers
	Rpush Rpushx Llen Ltrim Lrange
	Watch Unwatch Multi Exec
	Publish Subscribe Unsubscribe
	ConfigGet Time`)

// around are those that the client sends for itself, the last two to clusters.
var around = strings.Fields(`hello auth ping client cluster asking readonly`)

// mayOnly are the words of ACL SETUSER for a user "node" who may use those, and more.
func mayOnly(more ...string) []string {
	words := strings.Fields("ACL SETUSER node on >secret ~* &* -@all")
	for _, c := range slices.Concat(around, everywhere, more) {
		c = strings.NewReplacer("configget", "config|get", "commandinfo", "command|info").Replace(strings.ToLower(c))
		words = append(words, "+"+c)
	}
	return words
}

// startCommon runs a server, Debian's redis-server or the program named, on which the
// nodes may use only the commands that Redis, Valkey and Garnet all have.
func startCommon(t *testing.T, program string) *engine {
	t.Helper()
	s, err := redistest.Start(program)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	e := &engine{t: t, one: s, url: "redis://node:secret@" + s.Addr()}
	e.do(mayOnly()...)
	return e
}

// TestOnlyCommonCommands: everything works with those alone, on Redis and on Valkey.
func TestOnlyCommonCommands(t *testing.T) {
	for name, program := range map[string]string{"redis": "", "valkey": "valkey-server"} {
		t.Run(name, func(t *testing.T) { onlyCommon(t, startCommon(t, program)) })
	}
}

func onlyCommon(t *testing.T, e *engine) {
	site := e.sites()
	t.Run("plane", func(t *testing.T) {
		backplanetest.Test(t, func(t *testing.T) func(string) backplane.Plane {
			e := site(t)
			return func(name string) backplane.Plane { return e.join(name) }
		})
	})
	t.Run("reigns", func(t *testing.T) {
		reigntest.Test(t, func(t *testing.T) reigntest.Ledger { return reignLedger(site(t)) })
	})
	t.Run("tables", func(t *testing.T) {
		sharedtest.TestTable(t, func(t *testing.T) shared.Common { return site(t).tables("a") })
	})
	t.Run("changes", func(t *testing.T) {
		e := site(t)
		changesTold(t, e.tables("a"), e.tables("b"))
	})
	t.Run("estates", func(t *testing.T) {
		estatetest.Run(t, func(t *testing.T) estate.Common { return site(t).estates("a") })
	})
	t.Run("log", func(t *testing.T) {
		replaytest.Test(t, func(t *testing.T) replaytest.Store { return logs{site(t)} })
	})
	t.Run("records", func(t *testing.T) {
		prooftest.Test(t, func(t *testing.T) func() proof.Common { return site(t).records })
	})
	if list, err := e.one.Do("ACL", "LOG"); err != nil || list != "" {
		t.Errorf("was refused: %s %v", list, err)
	}
}

// clustered are those that are sent to a cluster alone. Garnet has all but the last, which
// is sent to servers alone that say they have it.
var clustered = strings.Fields(`Spublish Ssubscribe CommandInfo Sunsubscribe`)

// TestOnlyCommonCommandsInCluster: the nodes hear each other, join and leave channels over
// a cluster that has all commands but SUNSUBSCRIBE, as Garnet has, and send it no other.
func TestOnlyCommonCommandsInCluster(t *testing.T) {
	t.Parallel()
	c, e := startRing(t, 0, "--rename-command", "SUNSUBSCRIBE", "")
	e.restrict(c, clustered[:3]...)
	planeInCluster(t, c, e.sites())
	notRefused(t, c)
	for _, s := range c.Nodes {
		if n := s.Info("errorstats", "errorstat_ERR"); n != "" {
			t.Errorf("was sent what it does not know: %s", n)
		}
	}
}

// TestCommands: nothing is sent that one of the three servers does not have.
func TestCommands(t *testing.T) {
	files, err := os.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for _, f := range files {
		name := f.Name()
		if !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") {
			continue
		}
		tree, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range commandsOf(tree) {
			found++
			if !slices.Contains(everywhere, c) && !slices.Contains(clustered, c) {
				t.Errorf("%s sends %s, which not all of Redis, Valkey and Garnet have", name, strings.ToUpper(c))
			}
		}
	}
	if found < 20 {
		t.Errorf("%d commands are found: what is searched for is no longer what is written", found)
	}
}

// commandsOf are the commands that a file builds: the first call on a builder, which
// is called b, or is what B() answers.
func commandsOf(tree *ast.File) (list []string) {
	ast.Inspect(tree, func(n ast.Node) bool {
		s, ok := n.(*ast.SelectorExpr)
		if !ok || !s.Sel.IsExported() {
			return true
		}
		switch x := s.X.(type) {
		case *ast.Ident:
			if x.Name == "b" && !fieldNames[s.Sel.Name] {
				list = append(list, s.Sel.Name)
			}
		case *ast.CallExpr:
			if f, ok := x.Fun.(*ast.SelectorExpr); ok && f.Sel.Name == "B" {
				list = append(list, s.Sel.Name)
			}
		}
		return true
	})
	return list
}

// fieldNames are those of batches and nodes, which are called b as well.
var fieldNames = map[string]bool{"Origin": true, "Life": true, "First": true, "List": true, "Name": true}
