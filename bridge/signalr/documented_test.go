package signalr_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestEverythingIsDocumented: each exported name of the library has a comment,
// fields and methods of interfaces included.
func TestEverythingIsDocumented(t *testing.T) {
	for _, dir := range []string{".", "protocol", "transport", "signalrtest"} {
		files, err := filepath.Glob(filepath.Join(dir, "*.go"))
		if err != nil || len(files) == 0 {
			t.Fatalf("%s: %d files, %v", dir, len(files), err)
		}
		for _, name := range files {
			if strings.HasSuffix(name, "_test.go") {
				continue
			}
			fset := token.NewFileSet()
			f, err := parser.ParseFile(fset, name, nil, parser.ParseComments|parser.SkipObjectResolution)
			if err != nil {
				t.Fatal(err)
			}
			for _, n := range undocumented(f) {
				t.Errorf("%v: %s has no comment", fset.Position(n.Pos()), n.Name)
			}
		}
	}
}

// undocumented lists the exported names of a file that have no comment.
func undocumented(f *ast.File) (names []*ast.Ident) {
	check := func(id *ast.Ident, comments ...*ast.CommentGroup) {
		if id.IsExported() && !slices.ContainsFunc(comments, func(c *ast.CommentGroup) bool { return c != nil }) {
			names = append(names, id)
		}
	}
	fields := func(list *ast.FieldList) {
		for _, field := range list.List {
			for _, id := range field.Names {
				check(id, field.Doc, field.Comment)
			}
		}
	}
	for _, d := range f.Decls {
		switch d := d.(type) {
		case *ast.FuncDecl:
			if d.Recv == nil || receiver(d.Recv.List[0].Type).IsExported() {
				check(d.Name, d.Doc)
			}
		case *ast.GenDecl:
			for _, s := range d.Specs {
				switch s := s.(type) {
				case *ast.TypeSpec:
					check(s.Name, s.Doc, d.Doc)
					if !s.Name.IsExported() {
						continue
					}
					switch inner := s.Type.(type) {
					case *ast.StructType:
						fields(inner.Fields)
					case *ast.InterfaceType:
						fields(inner.Methods)
					}
				case *ast.ValueSpec:
					for _, id := range s.Names {
						check(id, s.Doc, s.Comment, d.Doc)
					}
				}
			}
		}
	}
	return names
}

// receiver is the type below a receiver's pointer and type parameters.
func receiver(e ast.Expr) *ast.Ident {
	switch e := e.(type) {
	case *ast.StarExpr:
		return receiver(e.X)
	case *ast.IndexExpr:
		return receiver(e.X)
	case *ast.IndexListExpr:
		return receiver(e.X)
	case *ast.Ident:
		return e
	}
	return ast.NewIdent("_")
}

// TestExamples: what a stranger looks for first has an example that runs.
func TestExamples(t *testing.T) {
	var text strings.Builder
	for _, name := range []string{"example_test.go", "examples_test.go"} {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		text.Write(b)
	}
	for what, name := range map[string]string{
		"a hub": "New", "a typed client": "Event2", "sending from outside": "HubContext", "a stream": "Stream1",
		"a client result": "Question0", "authorisation": "RequireRole", "an upload": "Upload", "a filter": "Filter",
	} {
		_, code, ok := strings.Cut(text.String(), "func Example"+name+"() {\n")
		code, _, _ = strings.Cut(code, "\n}\n")
		if !ok || !strings.Contains(code, "// Output:") {
			t.Errorf("%s: no Example%s with an output", what, name)
		}
	}
}
