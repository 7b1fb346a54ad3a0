package floors

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"
)

// pkg is a folder of Go files.
type pkg struct {
	path  string // below the root: "broker/area"
	name  string
	files []file
	logs  bool // one of its files imports log/slog

	bubbles bool // one of its tests imports testing/synctest: sleeping costs no time

	relays map[string]int // its methods that hand on a log line: parameters before the keys
}

// file is one Go file.
type file struct {
	name  string // below the root
	test  bool
	lines int
	ast   *ast.File
}

// checker gathers breaches.
type checker struct {
	module string
	fset   *token.FileSet
	found  []string
}

func (c *checker) breach(where, format string, args ...any) {
	c.found = append(c.found, where+": "+fmt.Sprintf(format, args...))
}

func (c *checker) at(p token.Pos) string {
	q := c.fset.Position(p)
	return q.Filename + ":" + strconv.Itoa(q.Line)
}

// Check reads every Go file below root, whose go.mod names the module, and
// answers the breaches in the order of their places; none is nil. Folders that
// the go command leaves out, and other modules, are left out. Its error is a
// tree that cannot be read or parsed.
func Check(root fs.FS) ([]string, error) {
	mod, err := fs.ReadFile(root, "go.mod")
	if err != nil {
		return nil, err
	}
	c := &checker{module: moduleOf(mod), fset: token.NewFileSet()}
	pkgs, err := c.read(root)
	if err != nil {
		return nil, err
	}
	for _, p := range pkgs {
		c.imports(p)
		c.comment(p)
		for _, f := range p.files {
			c.style(p, f)
		}
	}
	slices.Sort(c.found)
	return c.found, nil
}

func moduleOf(mod []byte) string {
	s := bufio.NewScanner(bytes.NewReader(mod))
	for s.Scan() {
		if name, ok := strings.CutPrefix(s.Text(), "module "); ok {
			return strings.TrimSpace(name)
		}
	}
	return ""
}

// read parses the tree.
func (c *checker) read(root fs.FS) ([]*pkg, error) {
	byPath := map[string]*pkg{}
	err := fs.WalkDir(root, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			return c.enter(root, name)
		}
		if !strings.HasSuffix(name, ".go") {
			return nil
		}
		f, err := c.parse(root, name)
		if err != nil {
			return err
		}
		dir := path.Dir(name)
		p := byPath[dir]
		if p == nil {
			p = &pkg{path: dir, relays: map[string]int{}}
			byPath[dir] = p
		}
		p.add(f)
		return nil
	})
	pkgs := make([]*pkg, 0, len(byPath))
	for _, p := range byPath {
		pkgs = append(pkgs, p)
	}
	return pkgs, err
}

// enter leaves out the folders that are not of the module.
func (c *checker) enter(root fs.FS, name string) error {
	base := path.Base(name)
	if name != "." && (strings.HasPrefix(base, ".") || strings.HasPrefix(base, "_") || base == "testdata" || base == "node_modules") {
		return fs.SkipDir
	}
	if _, err := fs.Stat(root, path.Join(name, "go.mod")); name != "." && !errors.Is(err, fs.ErrNotExist) {
		return fs.SkipDir
	}
	return nil
}

func (c *checker) parse(root fs.FS, name string) (file, error) {
	text, err := fs.ReadFile(root, name)
	if err != nil {
		return file{}, err
	}
	tree, err := parser.ParseFile(c.fset, name, text, parser.ParseComments|parser.SkipObjectResolution)
	return file{name: name, test: strings.HasSuffix(name, "_test.go"), lines: bytes.Count(text, []byte("\n")), ast: tree}, err
}

func (p *pkg) add(f file) {
	p.files = append(p.files, f)
	if f.test {
		p.bubbles = p.bubbles || f.imports("testing/synctest")
		return
	}
	p.name = f.ast.Name.Name
	p.logs = p.logs || f.imports("log/slog")
	for _, d := range f.ast.Decls {
		if fn, ok := d.(*ast.FuncDecl); ok {
			if before, ok := relay(fn); ok {
				p.relays[fn.Name.Name] = before
			}
		}
	}
}

func (f file) imports(path string) bool {
	return slices.ContainsFunc(f.ast.Imports, func(s *ast.ImportSpec) bool { return unquote(s.Path) == path })
}

func unquote(l *ast.BasicLit) string {
	s, err := strconv.Unquote(l.Value)
	if err != nil {
		return l.Value
	}
	return s
}

// imports checks what a package imports; its tests may import what they need.
func (c *checker) imports(p *pkg) {
	if floorOf(p.path) < 0 {
		c.breach(p.path, "no floor is given to this package")
		return
	}
	for _, f := range p.files {
		if f.test {
			continue
		}
		for _, s := range f.ast.Imports {
			to := unquote(s.Path)
			if ours, ok := strings.CutPrefix(to, c.module+"/"); ok {
				c.ours(p, c.at(s.Pos()), ours)
			} else if first, _, _ := strings.Cut(to, "/"); strings.Contains(first, ".") {
				c.foreign(p, c.at(s.Pos()), to)
			}
		}
	}
}

// ours checks an import of one of our packages.
func (c *checker) ours(p *pkg, where, to string) {
	if have, want := floorOf(p.path), floorOf(to); want >= have {
		c.breach(where, "%s (floor %d) imports %s (floor %d): imports only point down", p.path, have, to, want)
	}
	for _, b := range bans {
		allowed := slices.ContainsFunc(b.but, func(path string) bool { return below(to, path) })
		if below(p.path, b.from) && below(to, b.to) && !allowed {
			c.breach(where, "%s imports %s: %s", p.path, to, b.why)
		}
	}
	if list, ok := standardOnly[p.path]; ok && !slices.Contains(list, to) {
		c.breach(where, "%s imports %s: standard library only", p.path, to)
	}
}

// foreign checks an import of a dependency.
func (c *checker) foreign(p *pkg, where, to string) {
	if strings.HasSuffix(p.path, "test") || below(p.path, "cmd/internal/e2e") {
		return
	}
	if _, ok := standardOnly[p.path]; ok {
		c.breach(where, "%s imports %s: standard library only", p.path, to)
		return
	}
	for module, paths := range confined {
		if !below(to, module) {
			continue
		}
		if !slices.ContainsFunc(paths, func(path string) bool { return below(p.path, path) }) {
			c.breach(where, "%s imports %s, which is confined to %s", p.path, to, strings.Join(paths, ", "))
		}
		return
	}
	c.breach(where, "%s imports %s, which is not in the table of dependencies", p.path, to)
}

// comment checks that the package's comment is there, in doc.go and nowhere
// else. That of a command may be in main.go.
func (c *checker) comment(p *pkg) {
	found := false
	for _, f := range p.files {
		if f.test || f.ast.Doc == nil {
			continue
		}
		base := path.Base(f.name)
		if base != "doc.go" && (p.name != "main" || base != "main.go") {
			c.breach(f.name, "a package's comment is in doc.go")
			continue
		}
		found = true
		text := f.ast.Doc.Text()
		if want := "Package " + p.name + " "; p.name != "main" && !strings.HasPrefix(text, want) {
			c.breach(f.name, "the package's comment does not begin with %q", want)
		}
	}
	if !found && p.name != "" {
		c.breach(p.path, "no package comment in doc.go")
	}
}
