package signalr_test

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// rule is what a server has to do so that every client works with it, as found in
// the vendor's specifications, servers and clients, and the tests that show that
// it does; or why there are none.
type rule struct {
	id, what string
	tests    string // names, with spaces between them
	reason   string
}

var rules = []rule{
	// Negotiation and HTTP.
	{"N1", "negotiate by POST alone, found by its suffix, without redirection", "TestStatuses TestPathsDoNotHaveACase TestOpeningRequest", ""},
	{"N2", "negotiateVersion: none is 0, higher ones are 1, no number is an error with 200", "TestNegotiate", ""},
	{"N3", "version 1 has a secret token, and the public id opens nothing", "TestNegotiate TestStatuses", ""},
	{"N4", "the transports that are on, in order of preference", "TestNegotiate TestIDs", ""},
	{"N5", "stateful reconnect only when asked for", "TestStatefulNegotiation", ""},
	{"N6", "redirecting and refusing answers", "TestRedirect TestNegotiateFollowsRedirections TestNegotiate", ""},
	{"N7", "ids of 128 bits that need no escaping", "TestIDs", ""},
	{"N8", "unopened negotiations end and are bounded", "TestUnopenedNegotiations", ""},
	{"N9", "no id is 400, an unknown one 404 before the upgrade", "TestStatuses TestTokenEndsWithItsConnection", ""},
	{"N10", "a second transport is 409, another one 400, one that is off 404, POST to a WebSocket 405",
		"TestStatuses TestTokenEndsWithItsConnection TestServerSentEvents TestTakeOver", ""},
	{"N11", "token from header or query, 401 without, never logged",
		"TestAuthenticate TestRefresh TestPollsShowNewerTokens TestLogsHaveNoSecrets TestEndpoints", ""},
	{"N12", "origins are checked", "TestStatuses", ""},
	{"N13", "paths do not have a case", "TestPathsDoNotHaveACase", ""},
	{"N14", "query and headers of the opening request", "TestOpeningRequest TestLongPolling TestNpmTransports", ""},
	// Transports.
	{"T1", "text or binary by the protocol", "TestKindOfFrame TestGroupOfBothProtocols", ""},
	{"T2", "edges of frames mean nothing", "TestHandshake TestRecords TestGroupOfBothProtocols TestCallInUnfinishedMessage", ""},
	{"T3", "close codes, and how long a close and a write may take", "TestCloseCodes TestCloseIsNotAwaitedForEver TestBlockedClientIsCut", ""},
	{"T4", "one writer, and pings of the hub's own", "TestSendersKeepTheirOrder TestTimeouts TestCloseCodes", ""},
	{"T5", "server-sent events", "TestServerSentEvents TestEventStreamsEnd TestIdleEventStreamLives TestHostHasTimeouts TestPosts", ""},
	{"T6", "polls: the first at once, then parked, the older ends", "TestLongPolling TestPollsPark TestHostHasTimeouts", ""},
	{"T7", "DELETE, no pings, absent pollers", "TestPollsEnd TestStatuses TestPollsPark TestAbsentPollerIsGone", ""},
	{"T8", "POSTs in order, bounded, 404 when gone", "TestPosts TestPollsEnd", ""},
	// Handshake and framing.
	{"H1", "the handshake is JSON, whatever follows", "TestHandshake TestGroupOfBothProtocols", ""},
	{"H2", "versions 1 and 2, names exact", "TestHandshake", ""},
	{"H3", "timeout, bounded, bytes behind it count, no binary over events", "TestTimeouts TestHandshake TestBinaryNeedsMoreThanEvents", ""},
	{"F1", "JSON: free order, unknown properties, case", "TestParse TestSplitter", ""},
	{"F2", "length prefixes are checked first", "TestHostilePrefixes FuzzSplitter", ""},
	{"F3", "MessagePack of any width, more elements than known", "TestParseMessagePack TestAppend TestGolden", ""},
	{"F4", "nesting and counts are bounded first", "TestParse TestParseMessagePack FuzzParseMessagePack", ""},
	{"F5", "the longest message, on every transport", "TestRecords TestSplitter TestPosts TestHostilePrefixes TestCloseCodes", ""},
	{"F6", "what is malformed closes, unknown numeric types do not", "TestRecords TestParse TestHostilePrefixes", ""},
	{"F7", "payloads survive crossing encodings",
		"TestGroupOfBothProtocols TestGroupOfClientsOfBothProtocols TestBinaryAndTimesCross FuzzCross", ""},
	// Messages.
	{"I1", "nine message types", "TestParse TestAppend TestGolden", ""},
	{"I2", "no answer without id, one with", "TestRecords TestCompletions", ""},
	{"I3", "what goes wrong is an error of the call, in the vendor's words", "TestCompletions TestRecords TestMethodsRequire", ""},
	{"I4", "details behind a switch", "TestDetailedErrors TestCompletions", ""},
	{"I5", "void, null and results are three things", "TestAppend TestCompletions TestGroupOfBothProtocols", ""},
	{"I6", "streams of plain methods and the other way round", "TestRecords TestStreamOnTheWire", ""},
	{"I7", "calls in order, streams beside, events in order",
		"TestLongAndShortCalls TestParallelInvocations TestStreamsRunBesideACall TestPushesKeepTheirOrder TestSendersKeepTheirOrder", ""},
	{"I8", "a method that waits blocks nothing that it may wait for",
		"TestNoDeadlockWhileAMethodWaits TestFloodWhileAMethodWaitsIsRefused TestStreamsDoNotWaitWhileAMethodAsks TestWaitingStreamsOvertakeAMethodThatAsks", ""},
	{"I9", "streams, their completion, and cancelling at once",
		"TestStreamOnTheWire TestCancelEndsAStreamAtOnce TestCancelEndsAPlainCall TestDisconnectCancelsStreams TestRecords", ""},
	{"I10", "uploads: binding, errors, back-pressure, late items",
		"TestUploadOnTheWire TestUploadsBindInOrder TestCancelEndsAnUpload TestUploadHoldsItsClientUp TestUploadIDInUse", ""},
	{"I11", "client results", "TestQuestionOnTheWire TestQuestionsToTheClient TestQuestionsEnd TestStreamsAndQuestionsGoOn TestClientResultEndpoint", ""},
	{"I12", "Close of either side", "TestRecords TestServerCloses TestDrain TestDetachedConnectionEnds", ""},
	{"I13", "names of methods do not have a case", "TestCompletions TestNpmTransports", ""},
	{"K1", "pings after 15 s without a write, none for polls", "TestTimeouts TestPollsPark", ""},
	{"K2", "silence, from the client's first ping on", "TestTimeouts TestEventStreamsEnd TestBytesKeepAClientAlive TestBusyCallsAreNotSilence", ""},
	// Stateful reconnect.
	{"R1", "what counts is numbered from 1", "TestResume TestReplay", ""},
	{"R2", "acknowledgements, also wrong ones", "TestResume TestAcknowledgedIsForgotten", ""},
	{"R3", "sequence, replay, then what is new", "TestResume TestReplay", ""},
	{"R4", "what a sequence may say", "TestReplay", ""},
	{"R5", "half a message of the old socket is forgotten", "TestResume TestCutsLoseNothing", ""},
	{"R6", "taking over a socket that looks alive", "TestTakeOver TestCutsLoseNothing", ""},
	{"R7", "what is kept is bounded, and replay and events do not mix", "TestUnacknowledgedIsBounded TestCutsLoseNothing", ""},
	{"R8", "15 s for coming back, and at once gone after a goodbye", "TestDetachedConnectionEnds TestResume", ""},
	{"R9", "a client that fails once begins anew", "TestNpmReconnects", "what a client does; the server's part is that another id works at once"},
	{"R10", "behind a balancer", "", "it needs a node that knows which other node owns a token, which is the business of a backplane; until " +
		"there is one, a balancer must keep a client with its node. What a negotiation redirects to is Config.Redirect (TestRedirect)"},
}

// TestRules: every rule has a test that exists, or a reason.
func TestRules(t *testing.T) {
	known := testNames(t, ".", "../../cmd/internal/e2e")
	var ids []string
	for _, r := range rules {
		ids = append(ids, r.id)
		if r.what == "" || r.tests == "" && r.reason == "" {
			t.Errorf("%s has neither tests nor a reason", r.id)
		}
		for _, name := range strings.Fields(r.tests) {
			if !slices.Contains(known, name) {
				t.Errorf("%s: there is no %s", r.id, name)
			}
		}
	}
	var want []string
	for _, group := range []struct {
		letter string
		n      int
	}{{"N", 14}, {"T", 8}, {"H", 3}, {"F", 7}, {"I", 13}, {"K", 2}, {"R", 10}} {
		for n := 1; n <= group.n; n++ {
			want = append(want, group.letter+jsonInt(n))
		}
	}
	if !slices.Equal(ids, want) {
		t.Errorf("rules %v, want %v", ids, want)
	}
}

// testNames lists the tests and fuzz targets below some directories.
func testNames(t *testing.T, dirs ...string) (names []string) {
	t.Helper()
	declared := regexp.MustCompile(`(?m)^func ((?:Test|Fuzz)\w+)\(`)
	for _, dir := range dirs {
		err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
			switch {
			case err != nil:
				return err
			case d.Name() == "node_modules":
				return filepath.SkipDir
			case !strings.HasSuffix(path, "_test.go"):
				return nil
			}
			b, err := os.ReadFile(path)
			for _, m := range declared.FindAllSubmatch(b, -1) {
				names = append(names, string(m[1]))
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return names
}
