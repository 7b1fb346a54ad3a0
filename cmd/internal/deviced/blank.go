package deviced

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/tacet-hub/tacet/cmd/internal/settings"
)

// codeValue is the key of the code and its value, quoted or not, wherever it
// stands.
var codeValue = regexp.MustCompile(`(enrol_code[ \t]*:[ \t]*)("[^"\n]*"|'[^'\n]*'|[^\s,}#]+)`)

// blank takes the code out of the file that has it; everything else of the file,
// comments included, stays as it is. The file is replaced as a whole: written
// beside, brought to the disk, renamed. A file without the code is left alone.
func blank(file, code string) error {
	old, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	text := codeValue.ReplaceAllStringFunc(string(old), func(pair string) string {
		if !strings.Contains(pair, code) {
			return pair
		}
		return codeValue.FindStringSubmatch(pair)[1] + `""`
	})
	if text == string(old) {
		return fmt.Errorf("%s: there is no enrol_code that can be taken out", file)
	}
	var was, is Config
	_, faultWas := settings.ParseYAML(file, old, &was)
	_, faultIs := settings.ParseYAML(file, []byte(text), &is)
	if was.EnrolCode = ""; faultWas != nil || faultIs != nil || fmt.Sprintf("%+v", was) != fmt.Sprintf("%+v", is) {
		return fmt.Errorf("%s: enrol_code cannot be taken out without a change of something else: do it by hand", file)
	}
	return replace(file, text)
}

// replace replaces a file, so that after a loss of power it is the old one or the
// new one. FAT has no modes: that it cannot be given the old one's is no fault.
func replace(file, text string) error {
	info, err := os.Stat(file)
	if err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(file), ".tacet-*")
	if err != nil {
		return err
	}
	_ = f.Chmod(info.Mode())
	if err := errors.Join(write(f, []byte(text)), os.Rename(f.Name(), file)); err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return syncDir(filepath.Dir(file))
}

// syncDir makes a rename last. Not every file system and system has it: where it
// is refused nothing more can be done.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	_ = d.Sync()
	return d.Close()
}
