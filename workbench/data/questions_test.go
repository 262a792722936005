package data

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const questionSource = `// Package zoo keeps animals.
package zoo

// Limit is how many fit.
const Limit = 3

// hidden is not exported.
func hidden() {}

// Feed gives an animal
// its food. It returns the food left.
//
// It panics if there is none.
func Feed(animal string,
	food int) (left int) {
	return food
}

// Cage holds one animal.
type Cage[T any] struct {
	inside T
}

// Open opens it.
func (c *Cage[T]) Open() {}

// Look is a method of a type that is not exported.
func (h *hider) Look() {}

type hider struct{}

func NoComment() {}
`

// asked gives questions and answers in pairs, by symbol.
func asked(t testing.TB, spec string) map[string][][2]string {
	t.Helper()
	found := map[string][][2]string{}
	for q, err := range Questions(spec) {
		require.NoError(t, err)
		require.NotContains(t, q.Question, "%")
		found[q.Symbol] = append(found[q.Symbol], [2]string{q.Question, q.Answer})
	}
	return found
}

func TestExportedSymbolsGiveQuestionsThatTheirCommentsAnswer(t *testing.T) {
	folder := t.TempDir()
	writeFile(t, questionSource, folder, "zoo.go")
	writeFile(t, questionSource, folder, "zoo_windows.go") // the same for another system
	writeFile(t, questionSource, folder, "zoo_test.go")
	writeFile(t, "package main\n\n// Run runs.\nfunc Run() {}\n", folder, "tool", "main.go")
	writeFile(t, "package deep\n\n// Run runs.\nfunc Run() {}\n", folder, "internal", "deep.go")
	writeFile(t, "package broken\n\n// Run runs.\nfunc Run( {}\n", folder, "broken", "broken.go")
	found := asked(t, QuestionsSpec+":"+folder)
	require.Len(t, found, 4)

	feed := found["zoo.Feed"]
	require.Len(t, feed, 3)
	require.Contains(t, feed[0][0], "zoo.Feed")
	require.Equal(t, "Feed gives an animal its food. It returns the food left.", feed[0][1])
	require.Equal(t, "func Feed(animal string, food int) (left int)", feed[1][1])
	require.Equal(t, feed[1][1]+"\n\nFeed gives an animal\nits food. It returns the food left.\n\nIt panics if there is none.", feed[2][1])

	require.Equal(t, "const Limit = 3", found["zoo.Limit"][1][1])
	require.Equal(t, "type Cage[T any] struct", found["zoo.Cage"][1][1])
	require.Equal(t, "func (c *Cage[T]) Open()", found["zoo.Cage.Open"][1][1])
	require.Len(t, found["zoo.Cage.Open"], 2, "one paragraph is all there is")
}

func TestTheGoInstallationGivesQuestions(t *testing.T) {
	found := asked(t, QuestionsSpec+":strings")
	require.Greater(t, len(found), 80)
	cut := found["strings.Cut"]
	require.Contains(t, cut[0][0], "strings.Cut")
	require.Equal(t, "func Cut(s, sep string) (before, after string, found bool)", cut[1][1])
	require.Equal(t, found, asked(t, QuestionsSpec+":strings"), "the same each time")

	for symbol, questions := range asked(t, QuestionsSpec+":net/http/cookiejar") {
		require.True(t, strings.HasPrefix(symbol, "net/http/cookiejar."), symbol)
		require.Contains(t, questions[0][0], " in net/http/cookiejar")
	}
}

func TestQuestionsAboutNothingAreRefused(t *testing.T) {
	for spec, says := range map[string]string{
		QuestionsSpec + ":no/such/package":                            "no folder",
		QuestionsSpec + ":" + filepath.Join(t.TempDir(), "elsewhere"): "no folder",
		QuestionsSpec + ":" + t.TempDir():                             "no Go files",
	} {
		for _, err := range Questions(spec) {
			requireLine(t, err, says, spec)
		}
	}
}
