package generate_test

import (
	"testing"

	"tandem/workbench/generate"
)

func TestTripsLaunchedAheadOfTheHostChangeNothing(t *testing.T) {
	t.Cleanup(generate.TripsAtOnce(3))
	for name, test := range map[string]func(*testing.T){
		"decoding":        TestDecodingEqualsTheWholeForwardPassForEveryPattern,
		"other rows":      TestARowIsTheSameWhateverElseIsInTheBatch,
		"snapshots":       TestASnapshotContinuesAsIfTheConversationHadNeverStopped,
		"kept in a batch": TestASnapshotOfARowInABatchIsThatRows,
		"cancelling":      TestACancelledRequestFreesItsRowAtOnce,
		"a full queue":    TestTheQueueIsLimited,
		"closing":         TestClosingEndsEveryRequest,
	} {
		t.Run(name, test)
	}
}
