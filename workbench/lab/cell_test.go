package lab

import (
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tandem/workbench/runlog"
	"tandem/workbench/session"
)

// shown is a Display that remembers.
type shown struct {
	panels  []Panel
	updates []Panel
	answers []string
}

func (s *shown) Show(p Panel) { s.panels = append(s.panels, p) }
func (s *shown) Live() func(Panel) {
	return func(p Panel) { s.updates = append(s.updates, p) }
}
func (s *shown) Ask(string) (func(string), func()) {
	s.answers = append(s.answers, "")
	return func(piece string) { s.answers[len(s.answers)-1] += piece }, func() {}
}

// watched shows into a memory, and works in this process.
func watched(t *testing.T) *shown {
	t.Helper()
	t.Setenv(SessionVariable, "off")
	s, before := &shown{}, display
	SetDisplay(s)
	t.Cleanup(func() { SetDisplay(before) })
	return s
}

func small(run string, options ...Option) *Architecture {
	return Model("MT", append([]Option{Width(16), Vocab(300), Context(64), Batch(1), Data("corpus"), Backend("go"), Name(run),
		Set("eval_batches", 1), Set("sample_tokens", 2), Set("log_every", 1)}, options...)...)
}

func TestATypoInAPatternIsShownWithItsPlaceAndStopsNothing(t *testing.T) {
	s := watched(t)
	m := Model("T12 é8")
	require.ErrorContains(t, m.Err(), "column 5")
	require.Len(t, s.panels, 1)
	require.Equal(t, "T12 é8\n    ^", s.panels[0].Note)
	require.Error(t, m.Show().Estimate().Explore().Err())
	require.Error(t, Train(m).Chat("hello").Ask("again").Show().Err())
	require.Len(t, s.panels, 1, "a failed value is silent afterwards")
	require.Zero(t, m.Parameters()+int(m.FLOPs())+int(m.StateBytes(1))+len(m.Pattern()))
	require.Empty(t, m.Picture().String())
}

func TestNumbersHaveThePrefixThatTheyRoundTo(t *testing.T) {
	for value, want := range map[float64]string{
		0: "0 B", 999: "999 B", 999.6: "1 kB", 1000: "1 kB", 1234: "1.23 kB", 999_499: "999 kB", 999_999: "1 MB", 999_999_999: "1 GB", 1.5e15: "1.5 PB", 2e18: "2 EB",
	} {
		require.Equal(t, want, scaled(value, "B"))
	}
}

func TestSizesOfSmallModelsAreNotZero(t *testing.T) {
	s := watched(t)
	m := Model("tiny").Show().Explore().Estimate("rtx3060")
	require.NoError(t, m.Err())
	for _, panel := range s.panels {
		for _, table := range panel.Tables {
			for _, row := range table.Rows {
				require.NotContains(t, row, "0.00 GiB", table.Heading[0])
			}
		}
	}
	require.Equal(t, "weights, float32", s.panels[0].Tables[1].Rows[0][0])
	require.Equal(t, "2.16 MiB", s.panels[0].Tables[1].Rows[0][1])
	require.Regexp(t, ` MiB$`, s.panels[1].Grid.Cells[0][0])
}

func TestMustEndsTheCellAtAFailedValueAlone(t *testing.T) {
	watched(t)
	ended := 0
	exit = func(code int) { ended += code }
	t.Cleanup(func() { exit = os.Exit })
	Must(Model("T2"))
	require.Zero(t, ended)
	Must(Model("X2"))
	require.Equal(t, 1, ended)
}

func TestATrainingIsDrawnAsItGoesAndEndsWithASentence(t *testing.T) {
	elsewhere(t)
	s := watched(t)
	run := Train(small("first"), Steps(4))
	require.NoError(t, run.Err())
	last := s.updates[len(s.updates)-1]
	require.Contains(t, last.Note, "first: done after 4 steps")
	require.Contains(t, last.Picture.String(), "Training loss")
	require.NotEmpty(t, last.Text, "the last sample")

	run.Show()
	table := s.panels[len(s.panels)-1].Tables[0]
	require.Equal(t, []string{"step-000004", "4"}, table.Rows[0])

	require.ErrorContains(t, Train(small("first")).Err(), "exists")
	require.ErrorContains(t, Train(small("second"), Steps(-1)).Err(), "steps -1")
	require.ErrorContains(t, Train(small("second"), Data("nothing-here")).Err(), "nothing-here")
}

func TestARunAnswersInOneConversation(t *testing.T) {
	elsewhere(t)
	s := watched(t)
	talk := Train(small("first"), Steps(1)).Chat("What does the rain see?", Tokens(3))
	defer talk.Close()
	require.NoError(t, talk.Ask("And?").Show().Err())
	require.Len(t, s.answers, 2)
	table := s.panels[len(s.panels)-1].Tables[0]
	require.Len(t, table.Rows, 2)
	require.ErrorContains(t, Open("first").Chat("hello", Tokens(-1)).Err(), "max tokens -1")
	require.ErrorContains(t, Open("nobody").Chat("hello").Err(), "there is no folder")
}

func TestALivePanelIsDrawnRarelyEnoughNotToCost(t *testing.T) {
	live, drawn := newLivePanel("run"), 0
	slow := func(Panel) { drawn++; time.Sleep(20 * time.Millisecond) }
	live.take(runlog.Record{Kind: runlog.KindStep, Step: 1, Values: map[string]float64{runlog.Loss: 3, "steps": 10, "remaining_seconds": 9}})
	for range 1000 {
		live.show(slow)
	}
	require.Equal(t, 1, drawn)
	require.GreaterOrEqual(t, time.Until(live.next), 3*time.Second, "at least 200 times what the drawing took")
	live.end(slow, "over")
	require.Equal(t, 2, drawn)
	require.Equal(t, "step 1/10  loss 3.0000  9s left", func() string { live.take(live.records[0]); return live.note }())
}

func TestTheEndOfATrainingIsWrittenAsTextHoweverSoonItComes(t *testing.T) {
	out, err := os.Create(filepath.Join(t.TempDir(), "out"))
	require.NoError(t, err)
	defer out.Close()
	before := os.Stdout
	os.Stdout = out
	defer func() { os.Stdout = before }()
	live, update := newLivePanel("run"), TextDisplay().Live()
	for range 3 {
		live.take(runlog.Record{Kind: runlog.KindStep, Step: 1, Values: map[string]float64{runlog.Loss: 3}})
		live.show(update)
	}
	live.end(update, "run: done after 1 steps.")
	text, err := os.ReadFile(out.Name())
	require.NoError(t, err)
	require.Equal(t, "step 1  loss 3.0000\nrun: done after 1 steps.\n", string(text))
}

func TestALivePanelHasNoValidationBeforeTheFirst(t *testing.T) {
	live := newLivePanel("run")
	live.take(runlog.Record{Kind: runlog.KindStep, Step: 1, Values: map[string]float64{runlog.Loss: 3}})
	require.Len(t, live.panel().Picture, 1)
	live.take(runlog.Record{Kind: runlog.KindEval, Step: 1, Values: map[string]float64{runlog.BitsPerByte: 2}})
	require.Len(t, live.panel().Picture, 2)
}

func TestWhatASessionSaysOfAnEndIsTold(t *testing.T) {
	require.Equal(t, "a: stopped after 3 steps, 1.5 k tokens in 2 s; validation 2.500 bits per byte (counting tokens alone: 3.000).",
		ending(session.Training{Run: "a", State: session.Stopped, Step: 3, Tokens: 1500, Seconds: 2, BPB: 2.5, UnigramBPB: 3}))
	require.Contains(t, ending(session.Training{Run: "a", State: session.Ended, Problem: "another writes it"}), "another writes it")
}

func TestWhatAToolRanStandsInBrackets(t *testing.T) {
	var text string
	view := pieceView{write: func(piece string) { text += piece }}
	for _, piece := range []session.Piece{
		{Part: 0, Type: "text", Text: "It is "}, {Part: 1, Type: "python", Text: "1+"}, {Part: 1, Type: "python", Text: "1"},
		{Part: 2, Type: "python_output", Text: "2"}, {Part: 3, Type: "text", Text: "."}, {Part: 4, Type: "python", Text: "1/0", Problem: "division by zero"},
	} {
		view.show(piece)
	}
	view.close()
	require.Equal(t, "It is [1+1 → 2].[1/0 → failed: division by zero]", text)
}

func TestComparisonsNameWhatTheyCannotFind(t *testing.T) {
	elsewhere(t)
	watched(t)
	_, err := CompareRuns(nil)
	require.ErrorContains(t, err, "there is none under runs")
	_, err = CompareRuns([]string{"first"})
	require.ErrorContains(t, err, `compare "first": it is neither a run (there is none under runs yet`)
	require.NoError(t, Train(small("first"), Steps(2)).Err())
	require.NoError(t, Train(small("second"), Steps(2)).Err())
	c, err := CompareRuns([]string{"first", "m t", "T2"})
	require.NoError(t, err)
	require.Equal(t, []string{"first: M T", "second: M T", "T2"}, []string{c.Entries[0].Label, c.Entries[1].Label, c.Entries[2].Label})
	require.NoError(t, c.Save("losses.png"))
	require.ErrorContains(t, c.Save("losses.jpg"), "must end in one of .svg, .png")
	untrained, err := CompareRuns([]string{"T2"})
	require.NoError(t, err)
	require.ErrorContains(t, untrained.Save("x.svg"), "no curve")
}

func TestScansThatCannotBeDrawnAreErrors(t *testing.T) {
	watched(t)
	require.ErrorContains(t, ShowDecay(-1).Err(), "must be above 0")
	require.ErrorContains(t, ShowSelection(48).Err(), "there are tokens 0 to 47")
	require.ErrorContains(t, ShowScan("abacus").Err(), "abacus")
	require.ErrorContains(t, States().Err(), "no pattern")
	require.ErrorContains(t, Calculate("2+").Err(), "calculator")
}

func TestTheScanThatModelsRunAgreesWithTheReference(t *testing.T) {
	s := watched(t)
	require.NoError(t, ShowScan("go").Err())
	for _, row := range s.panels[0].Tables[0].Rows {
		require.Regexp(t, `e-0[5-9]$`, row[2], row[0])
	}
}

// Everything that cells call can be found by completion, says what it does, and has an example that runs.
func TestEveryCellFacingFunctionHasAnExample(t *testing.T) {
	examples := map[string]bool{}
	eachFunction(t, "*example_test.go", func(f *ast.FuncDecl) {
		name := strings.TrimPrefix(f.Name.Name, "Example")
		examples[strings.ReplaceAll(name, "_", ".")] = true
	})
	beside := map[string]bool{"UseSession": true, "SetDisplay": true, "TextDisplay": true, "CheckPicture": true, "DrawModel": true, "PointAt": true} // set-up, not shown
	checked := 0
	for _, pattern := range []string{"cell*.go", "model.go", "compare.go", "states.go", "display.go"} {
		eachFunction(t, pattern, func(f *ast.FuncDecl) {
			if !f.Name.IsExported() || strings.Contains(pattern, "_test") {
				return
			}
			require.NotEmpty(t, f.Doc.Text(), "%s says nothing", f.Name.Name)
			if f.Recv == nil && !beside[f.Name.Name] {
				checked++
				require.True(t, examples[f.Name.Name], "%s has no example", f.Name.Name)
			}
		})
	}
	require.Greater(t, checked, 25)
}

func eachFunction(t *testing.T, pattern string, visit func(*ast.FuncDecl)) {
	t.Helper()
	files, err := filepath.Glob(pattern)
	require.NoError(t, err)
	require.NotEmpty(t, files, pattern)
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") != strings.HasSuffix(pattern, "_test.go") {
			continue
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ParseComments)
		require.NoError(t, err)
		for _, declaration := range parsed.Decls {
			if f, ok := declaration.(*ast.FuncDecl); ok {
				visit(f)
			}
		}
	}
}

func TestPlainTextHoldsAllOfAPanel(t *testing.T) {
	var out, problems strings.Builder
	writePanel(&out, &problems, Panel{
		Title: "title", Tables: []Table{{Heading: []string{"a", "b"}, Rows: [][]string{{"1", "2"}}}}, Note: "note", Text: "text", Err: errors.New("wrong"),
		Grid: &Grid{Title: "grid", XName: "x", YName: "y", X: []string{"1"}, Y: []string{"2"}, Cells: [][]string{{"3"}}},
	})
	require.Equal(t, "title\na  b\n1  2\ngrid\nx \\ y  2\n1      3\nnote\ntext\n", out.String())
	require.Equal(t, "error: wrong\n", problems.String())
}
