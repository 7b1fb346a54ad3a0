package main

import (
	"bytes"
	"regexp"
	"strings"
	"testing"
)

func TestSum(t *testing.T) {
	const (
		pass = `{"Action":"output","Package":"p","Test":"TestA","Output":"    a_test.go:1: 1000 hand-overs\n"}
{"Action":"pass","Package":"p","Test":"TestA","Elapsed":0.1}
`
		ended = `{"Action":"pass","Package":"p","Elapsed":1.25}
`
		skip = `{"Action":"output","Package":"p","Test":"TestS","Output":"    s_test.go:1: chromium is not installed\n"}
{"Action":"output","Package":"p","Test":"TestS","Output":"--- SKIP: TestS\n"}
{"Action":"skip","Package":"p","Test":"TestS"}
`
		fail = `{"Action":"output","Package":"p","Test":"TestF","Output":"    f_test.go:1: got 1\n"}
{"Action":"fail","Package":"p","Test":"TestF"}
{"Action":"fail","Package":"p","Elapsed":0.5}
`
		build = `{"ImportPath":"q","Action":"build-output","Output":"q/q.go:1: syntax error\n"}
{"ImportPath":"q","Action":"build-fail"}
{"Action":"fail","Package":"q","Elapsed":0,"FailedBuild":"q"}
`
		panics = `{"Action":"output","Package":"r","Test":"TestR","Output":"panic: oh\n"}
{"Action":"fail","Package":"r","Elapsed":0.5}
`
		crash = `{"Action":"output","Package":"p","Test":"TestA","Output":"ThreadSanitizer: CHECK failed: tsan_rtl.cpp:346\n"}
{"Action":"fail","Package":"p","Elapsed":0.5}
`
		segv = `{"Action":"output","Package":"p","Test":"TestA","Output":"SIGSEGV: segmentation violation\n"}
{"Action":"output","Package":"p","Test":"TestA","Output":"goroutine 0 gp=0x1402960 m=0 mp=0x1403d20 [idle, synctest bubble 103]:\n"}
{"Action":"fail","Package":"p","Elapsed":0.5}
`
		nilled = `{"Action":"output","Package":"p","Test":"TestA","Output":"[signal SIGSEGV: segmentation violation code=0x1 addr=0x0 pc=0x4b2a51]\n"}
{"Action":"fail","Package":"p","Elapsed":0.5}
`
		none = `{"Action":"skip","Package":"empty","Elapsed":0}
`
	)
	cases := map[string]struct {
		in     string
		strict bool
		ok     bool
		want   string
	}{
		"passed":                {pass + ended, true, true, "    a_test.go:1: 1000 hand-overs\npass  p 1.2s\ntests: 1 passed, 0 failed, 0 skipped\n"},
		"skipped":               {pass + skip + ended, false, true, "    a_test.go:1: 1000 hand-overs\npass  p 1.2s\ndid not run: p TestS: s_test.go:1: chromium is not installed\ntests: 1 passed, 0 failed, 1 skipped\n"},
		"skipped, strict":       {pass + skip + ended, true, false, "    a_test.go:1: 1000 hand-overs\npass  p 1.2s\ndid not run: p TestS: s_test.go:1: chromium is not installed\ntests: 1 passed, 0 failed, 1 skipped\n"},
		"failed":                {fail, false, false, "    f_test.go:1: got 1\nfail  p 0.5s\nfailed: p TestF\ntests: 0 passed, 1 failed, 0 skipped\n"},
		"not built":             {pass + ended + build, false, false, "    a_test.go:1: 1000 hand-overs\npass  p 1.2s\nq/q.go:1: syntax error\nfail  q 0.0s\ntests: 1 passed, 1 failed, 0 skipped\n"},
		"panic":                 {panics, false, false, "fail  r 0.5s\npanic: oh\ntests: 0 passed, 1 failed, 0 skipped\n"},
		"the detector crashed":  {crash, false, false, "fail  p 0.5s\nThreadSanitizer: CHECK failed: tsan_rtl.cpp:346\nfailed: p the race detector crashed, and the package was not run again\ntests: 0 passed, 1 failed, 0 skipped\n"},
		"it did, and not again": {crash + pass + ended, false, true, "fail  p 0.5s\nThreadSanitizer: CHECK failed: tsan_rtl.cpp:346\n    a_test.go:1: 1000 hand-overs\npass  p 1.2s\ntests: 1 passed, 0 failed, 0 skipped\n"},
		"it read nowhere":       {segv + pass + ended, false, true, "fail  p 0.5s\nSIGSEGV: segmentation violation\ngoroutine 0 gp=0x1402960 m=0 mp=0x1403d20 [idle, synctest bubble 103]:\n    a_test.go:1: 1000 hand-overs\npass  p 1.2s\ntests: 1 passed, 0 failed, 0 skipped\n"},
		"the program read nil":  {nilled + pass + ended, false, false, "fail  p 0.5s\n[signal SIGSEGV: segmentation violation code=0x1 addr=0x0 pc=0x4b2a51]\n    a_test.go:1: 1000 hand-overs\npass  p 1.2s\ntests: 1 passed, 1 failed, 0 skipped\n"},
		"it did, then a test":   {crash + fail, false, false, "fail  p 0.5s\nThreadSanitizer: CHECK failed: tsan_rtl.cpp:346\n    f_test.go:1: got 1\nfail  p 0.5s\nfailed: p TestF\ntests: 0 passed, 1 failed, 0 skipped\n"},
		"nothing ran":           {none, false, false, "tests: 0 passed, 0 failed, 0 skipped\n"},
		"no event":              {"go: cannot find module\n" + pass, false, true, "go: cannot find module\n    a_test.go:1: 1000 hand-overs\ntests: 1 passed, 0 failed, 0 skipped\n"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			var out bytes.Buffer
			s := newSum(&out)
			s.show = regexp.MustCompile("hand-overs")
			if err := s.read(strings.NewReader(c.in)); err != nil {
				t.Fatal(err)
			}
			if ok := s.close(c.strict); ok != c.ok || out.String() != c.want {
				t.Errorf("got %t\n%s\nwant %t\n%s", ok, out.String(), c.ok, c.want)
			}
		})
	}
}
