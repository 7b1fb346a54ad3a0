//go:build !unix

package update

import "errors"

// become is not possible here: updates are for unix systems.
func become(string, []string, []string) error { return errors.ErrUnsupported }

func lasting(error) bool { return false }
