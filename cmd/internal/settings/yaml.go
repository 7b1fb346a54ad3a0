package settings

import (
	"bytes"
	"errors"
	"io"
	"os"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// LoadYAML reads the YAML file at path over the struct that into points to,
// which holds the defaults, and tells where each key was written. An empty path
// is no file: nothing is read. Its error is [Faults], everything that is wrong
// at once; a file that cannot be read is one fault. It blocks for the file.
func LoadYAML(path string, into any) (Origins, error) {
	if path == "" {
		return Origins{}, nil
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return Origins{}, Faults{{Where: path, Text: Reason(err)}}
	}
	return ParseYAML(path, text, into)
}

// ParseYAML is [LoadYAML] of a text; name stands for the file in what is said
// of it.
func ParseYAML(name string, text []byte, into any) (Origins, error) {
	d := decoder{where: func(line int) string { return name + ":" + strconv.Itoa(line) }, origins: Origins{}}
	root, err := parse(text)
	if err != nil {
		line, what := lineOf(err)
		return d.origins, Faults{{Where: d.where(line), Text: what}}
	}
	if root != nil {
		d.into(root, into)
	}
	return d.origins, d.faults.Err()
}

// parse reads one YAML document; an empty one is nil.
func parse(text []byte) (*yaml.Node, error) {
	dec := yaml.NewDecoder(bytes.NewReader(text))
	var doc, more yaml.Node
	if err := dec.Decode(&doc); errors.Is(err, io.EOF) {
		return nil, nil
	} else if err != nil {
		return nil, err
	}
	if err := dec.Decode(&more); !errors.Is(err, io.EOF) {
		if err != nil {
			return nil, err
		}
		return nil, errors.New("yaml: line " + strconv.Itoa(more.Line) + ": a second document, where one is read")
	}
	return doc.Content[0], nil
}

// lineOf takes the line out of an error of the YAML package, whose text is
// "yaml: line 3: what"; without one it is line 1.
func lineOf(err error) (int, string) {
	text := strings.TrimPrefix(err.Error(), "yaml: ")
	rest, ok := strings.CutPrefix(text, "line ")
	if !ok {
		return 1, text
	}
	number, what, _ := strings.Cut(rest, ": ")
	line, err := strconv.Atoi(number)
	if err != nil {
		return 1, text
	}
	return line, what
}

// Reason is what the system said of a file, without its name.
func Reason(err error) string {
	if e, ok := errors.AsType[*os.PathError](err); ok {
		return e.Err.Error()
	}
	return err.Error()
}

// Secret reads a secret from the file at path: its text without the line end.
// An empty secret is refused. It blocks for the file.
func Secret(path string) (string, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return "", err
	}
	s := strings.TrimRight(string(b), "\r\n")
	if s == "" {
		return "", errors.New(path + " is empty, where a secret is expected")
	}
	return s, nil
}
