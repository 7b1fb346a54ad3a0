package floors

import (
	"go/ast"
	"go/token"
	"slices"
	"strings"
	"unicode"
)

// style checks one file: its length, and what its code does.
func (c *checker) style(p *pkg, f file) {
	most := maxLines
	if f.test {
		most = maxTestLines
	}
	if f.lines > most {
		c.breach(f.name, "%d lines are more than %d", f.lines, most)
	}
	for _, d := range f.ast.Decls {
		if fn, ok := d.(*ast.FuncDecl); ok && fn.Recv == nil && fn.Name.Name == "init" {
			c.breach(c.at(fn.Pos()), "no init functions")
		}
	}
	ast.Inspect(f.ast, func(n ast.Node) bool {
		call, ok := n.(*ast.CallExpr)
		if !ok {
			return true
		}
		sel, ok := call.Fun.(*ast.SelectorExpr)
		if !ok {
			return true
		}
		switch full := dotted(sel); {
		case f.test && !p.bubbles && full == "time.Sleep":
			c.breach(c.at(call.Pos()), "time.Sleep in a test outside a bubble")
		case !f.test && p.name != "main" && (full == "os.Exit" || strings.HasPrefix(full, "log.Fatal")):
			c.breach(c.at(call.Pos()), "%s below main", full)
		case !f.test && p.logs:
			c.logCall(sel, call, p.relays)
		}
		return true
	})
}

// dotted is "pkg.Name" of a selector on a plain name, else only ".Name".
func dotted(sel *ast.SelectorExpr) string {
	if x, ok := sel.X.(*ast.Ident); ok {
		return x.Name + "." + sel.Sel.Name
	}
	return "." + sel.Sel.Name
}

// How many arguments stand before the keys: of a logger's methods, and of the
// functions of slog that make an attribute.
var (
	levels = map[string]int{"Debug": 1, "Info": 1, "Warn": 1, "Error": 1, "DebugContext": 2, "InfoContext": 2, "WarnContext": 2, "ErrorContext": 2,
		"Log": 3, "LogAttrs": 3, "With": 0}
	attrs = strings.Fields("String Int Int64 Uint64 Float64 Bool Time Duration Any Group")
)

// logCall checks the message and the keys of a call that looks like one of
// slog's, or of one of the package's relays.
func (c *checker) logCall(sel *ast.SelectorExpr, call *ast.CallExpr, relays map[string]int) {
	if x, ok := sel.X.(*ast.Ident); ok && x.Name == "slog" && slices.Contains(attrs, sel.Sel.Name) && len(call.Args) > 0 {
		c.key(call.Args[0])
		return
	}
	before, ok := levels[sel.Sel.Name]
	if !ok || !isLogger(sel.X) {
		before, ok = relays[sel.Sel.Name]
	}
	if !ok || len(call.Args) < before {
		return
	}
	if before > 0 && !call.Ellipsis.IsValid() {
		c.message(call.Args[before-1])
	}
	for i := before; i < len(call.Args); i++ {
		if _, attr := call.Args[i].(*ast.CallExpr); attr || call.Ellipsis.IsValid() && i == len(call.Args)-1 {
			continue // an attribute, which is checked where it is made; or a list
		}
		c.key(call.Args[i])
		i++
	}
}

// relay tells whether a method hands a message of its caller and what comes
// after it on to a logger, and how many of its parameters stand before the keys.
func relay(fn *ast.FuncDecl) (before int, ok bool) {
	if fn.Recv == nil || fn.Body == nil {
		return 0, false
	}
	var names []string
	for _, p := range fn.Type.Params.List {
		for _, n := range p.Names {
			names = append(names, n.Name)
		}
	}
	ast.Inspect(fn.Body, func(n ast.Node) bool {
		call, isCall := n.(*ast.CallExpr)
		if !isCall || !call.Ellipsis.IsValid() {
			return true
		}
		sel, isSel := call.Fun.(*ast.SelectorExpr)
		if !isSel || !isLogger(sel.X) || levels[sel.Sel.Name] == 0 || len(call.Args) < levels[sel.Sel.Name] {
			return true
		}
		if m, named := call.Args[levels[sel.Sel.Name]-1].(*ast.Ident); named && slices.Contains(names, m.Name) {
			before, ok = slices.Index(names, m.Name)+1, true
		}
		return true
	})
	return before, ok
}

// isLogger tells whether an expression looks like a logger: slog itself, log,
// logger, x.log, x.Log or what With makes of one.
func isLogger(x ast.Expr) bool {
	switch x := x.(type) {
	case *ast.Ident:
		return slices.Contains([]string{"slog", "log", "logger"}, x.Name)
	case *ast.SelectorExpr:
		return slices.Contains([]string{"log", "Log", "logger", "Logger"}, x.Sel.Name)
	case *ast.CallExpr:
		sel, ok := x.Fun.(*ast.SelectorExpr)
		return ok && isLogger(sel.X)
	}
	return false
}

func (c *checker) message(x ast.Expr) {
	lit, ok := x.(*ast.BasicLit)
	if !ok || lit.Kind != token.STRING {
		c.breach(c.at(x.Pos()), "a log message is a fixed text")
		return
	}
	text := unquote(lit)
	words := strings.Fields(text)
	if len(words) == 0 || strings.HasSuffix(text, ".") || capital(words[0]) {
		c.breach(c.at(x.Pos()), "the log message %q is not lower case without a full stop", text)
	}
}

// capital tells whether a word begins with a capital and is no abbreviation,
// such as MQTT.
func capital(word string) bool {
	r := []rune(word)
	return unicode.IsUpper(r[0]) && (len(r) == 1 || !unicode.IsUpper(r[1]))
}

func (c *checker) key(x ast.Expr) {
	lit, ok := x.(*ast.BasicLit)
	if !ok || lit.Kind != token.STRING {
		c.breach(c.at(x.Pos()), "a log key is a fixed text")
		return
	}
	if key := unquote(lit); !slices.Contains(logKeys, key) {
		c.breach(c.at(x.Pos()), "the log key %q is none of %s", key, strings.Join(logKeys, " "))
	}
}
