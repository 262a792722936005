package repl

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tandem/workbench/lab"
	"tandem/workbench/runlog"
	"tandem/workbench/session"
)

// elsewhere moves the test to an empty folder.
func elsewhere(t testing.TB) {
	t.Helper()
	folder := t.TempDir()
	t.Setenv(lab.CacheVariable, filepath.Join(folder, "cache"))
	t.Chdir(folder)
}

// newPrompt is a prompt over a workbench; nil is none. What it writes is in out and notes.
func newPrompt(t testing.TB, bench lab.Workbench) (p *Prompt, out, notes *bytes.Buffer) {
	out, notes = &bytes.Buffer{}, &bytes.Buffer{}
	attach := func(context.Context, func(string)) (lab.Workbench, error) { return bench, nil }
	running := func(context.Context, func(string)) (lab.Workbench, error) {
		return nil, fmt.Errorf("%w in runs: the session of 1999 died", lab.ErrNoSession)
	}
	return New(Options{Attach: attach, Running: running, Out: out, Notes: notes}), out, notes
}

func within(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), 40*time.Second)
	t.Cleanup(cancel)
	return ctx
}

func TestScripts(t *testing.T) {
	for name, test := range map[string]struct {
		script string
		out    []string // regular expressions of the output
		err    string   // and of the error
	}{
		"a pattern gives its width":                               {"pattern T12 M8", []string{`^T12 M8: 20 layers, width 1280, context 256, vocabulary 2,048; 324,218,880 parameters\n$`}, ""},
		"a pattern that is wrong says where, and changes nothing": {"pattern T12 X8", nil, `^line 1: pattern "T12 X8": column 5: .*T \(transformer\)`},
		"blank lines and comments say nothing":                    {"\n# a comment\n  \npattern TM", []string{`^T M: 2 layers`}, ""},
		"what is set is shown and goes on":                        {"pattern M4\nset width 128\nset context 64\nset\nparams", []string{`width 128\n`, `pattern M4\nwidth 128\ncontext 64\n`, `total +M4`}, ""},
		"the last of pattern and depth counts":                    {"pattern M4\nset depth 2\nset", []string{`depth 2\n$`}, ""},
		"a setting that is no number stays as it was":             {"set batch many", nil, `^line 1: batch "many": write a whole number`},
		"an unknown key suggests one":                             {"set bacth 3", nil, `unknown key "bacth"; did you mean "batch"\?`},
		"an unknown key that is asked for suggests one":           {"set bacth", nil, `set: there is no setting "bacth"; did you mean "batch"\?`},
		"nothing set":                              {"set", []string{`^$`}, ""},
		"config lists formulas":                    {"config --batch 3", []string{`(?m)^batch +3 `, `tokens_per_step`}, ""},
		"a flag counts once":                       {"pattern M2\nparams --pattern T3\nparams", []string{`total +T3 [^_]*total +M2 `}, ""},
		"memory of a named configuration and card": {"memory rtx3070_d16 --gpu rtx3070", []string{`RTX 3070 +prediction`, `fits +yes`}, ""},
		"memory of a small model is no column of zeros": {"memory --gpu rtx3060", []string{`(?m)^training +MiB at its peak`, `(?m)^weights, float32 +2\.16$`, `(?m)^state +0\.10$`,
			`(?m)^blocks +kind +MiB each: weights`, `(?m)^0 +mamba +0\.24 `, `checkpoint 0: [1-9][0-9.]+ MiB`, `(?m)^memory +12\.00 GiB`, `(?m)^largest batch +6,007; 6,290 `}, ""},
		"a tab parts words as a blank does":                {"params\t--pattern\tM2", []string{`total +M2 `}, ""},
		"memory that is too small says what fits":          {"pattern T60\nmemory --gpu=rtx3060 --batch 64", []string{`fits +no`, `(?m)^speed +would be about `}, `does not fit RTX 3060.*; `},
		"an unknown card lists the cards":                  {"memory --gpu abacus", nil, `gpu "abacus": not in the table; there are RTX 3060`},
		"a flag without its value":                         {"memory --gpu", nil, `^line 1: memory: --gpu needs a value$`},
		"a flag that is no key suggests one":               {"memory --bacth 3", nil, `did you mean "batch"\?`},
		"a flag that takes no value":                       {"train --detach=yes", nil, `train: --detach takes no value`},
		"a verb without flags":                             {"runs --all", nil, `runs: unknown flag --all; runs takes none`},
		"a verb with other flags":                          {"sample x --token 3", nil, `unknown flag --token; sample takes --tokens, --temperature`},
		"a word too many":                                  {"runs all", nil, `runs: unexpected "all"; write: runs`},
		"a quote that does not end":                        {`compare "T M`, nil, `compare: column 1: the quote that begins here does not end`},
		"an unknown verb suggests one and lists all":       {"trian", nil, `^line 1: unknown verb "trian"; did you mean "train"\? there are pattern, set, .*, quit$`},
		"a word far from every verb":                       {"xylophone", nil, `unknown verb "xylophone"; there are pattern`},
		"the first error ends a script and names its line": {"runs\n\nmemory --gpu\npattern T4", []string{`^run +steps[^T]*$`}, `^line 3: `},
		"a line without an end":                            {"pattern T2\n" + strings.Repeat("x", maxLine+1), nil, `^read line 2 of standard input: it is longer than 1048576 bytes; give it in shorter lines$`},
		"quit ends a script":                               {"quit\nnonsense", nil, ""},
		"settings that are saved can be loaded":            {"pattern (TM)2\nset mamba.state 8\nsave a.yaml\nload tiny\nload a.yaml\nset mamba.state", []string{`are in a.yaml`, `\(TM\)2: 4 layers`, `mamba.state 8\n$`}, ""},
		"settings need the name of a file":                 {"save mine", nil, `save "mine": .* a name that ends in .yaml`},
		"settings that cannot be written":                  {"save none/mine.yaml", nil, `save the settings: open none/mine.yaml: no such file`},
		"load of nothing lists what there is":              {"load", nil, `load: name a run or a configuration: .*tiny`},
		"load of what there is not lists what there is":    {"load tinny", nil, `open run "tinny".*; the configurations are .*tiny`},
		"a file that is no configuration":                  {"load none.yaml", nil, `read configuration "none.yaml"`},
		"runs are needed to plot, sample, chat and resume": {"plot", nil, `open run: there is none under runs; train one`},
		"no run to sample":                                 {"sample x", nil, `open run: there is none`},
		"a sampling that is no number":                     {"sample x --temperature hot", nil, `sample: --temperature "hot": must be a number such as 0.8`},
		"a count that is negative":                         {"sample x --tokens -4", nil, `sample: --tokens "-4": must be a whole number from 0`},
		"no run to chat with":                              {"chat hello", nil, `open run: there is none`},
		"no run to resume":                                 {"train --resume", nil, `open run: there is none`},
		"a pattern without a run has no curve":             {"plot T2", nil, `plot T2: it has no step with a finite loss, so there is no curve`},
		"a session that died is told":                      {"session", []string{`^no session is running in runs: the session of 1999 died; train, sample and chat start one`}, ""},
		"nothing to stop":                                  {"stop", nil, `stop: no session is running`},
		"help lists every verb":                            {"help", []string{`(?m)^` + strings.Join(verbNames(), `  [^§]*\n`) + `  `}, ""},
		"help of an unknown verb suggests one":             {"help trian", nil, `did you mean "train"\?`},
	} {
		t.Run(name, func(t *testing.T) {
			elsewhere(t)
			p, out, _ := newPrompt(t, nil)
			err := Lines(within(t), p, strings.NewReader(test.script))
			if test.err == "" {
				require.NoError(t, err)
			} else {
				require.Error(t, err)
				require.Regexp(t, test.err, err.Error())
				require.NotContains(t, err.Error(), "\n")
			}
			for _, want := range test.out {
				require.Regexp(t, want, out.String())
			}
			require.NoError(t, p.Close())
		})
	}
}

func TestALossThatIsNoNumberIsNotDrawn(t *testing.T) {
	elsewhere(t)
	c, err := lab.LoadConfig("", nil)
	require.NoError(t, err)
	for run, loss := range map[string]string{"diverged": `"NaN"`, "sound": "5.5"} {
		require.NoError(t, runlog.WriteRun(filepath.Join("runs", run), lab.Info{Name: run, Config: c, Pattern: c.Model.Pattern.String()}))
		require.NoError(t, os.WriteFile(filepath.Join("runs", run, "metrics.jsonl"), []byte(`{"kind":"step","step":1,"loss":`+loss+`}`+"\n"), 0o600))
	}
	p, out, _ := newPrompt(t, nil)
	require.EqualError(t, p.Line(within(t), "plot diverged"), "plot M T: it has no step with a finite loss, so there is no curve")
	require.Empty(t, out.String())
	require.NoError(t, p.Line(within(t), "plot diverged sound"))
	require.Contains(t, out.String(), "5.50")
	require.Contains(t, out.String(), "against steps: sound: M T ─\n", "the other is not in the legend")
}

func TestAPatternThatIsWrongIsPointedAtAndTheOldOneStays(t *testing.T) {
	p, out, notes := newPrompt(t, nil)
	require.NoError(t, p.Line(within(t), "pattern T2 M2"))
	require.ErrorContains(t, p.Line(within(t), "pattern T12 X8"), "column 5")
	require.Equal(t, "T12 X8\n    ^\n", notes.String())
	out.Reset()
	require.NoError(t, p.Line(within(t), "pattern"))
	require.Contains(t, out.String(), "T2 M2: 4 layers")
}

func TestCompletion(t *testing.T) {
	elsewhere(t)
	require.NoError(t, os.MkdirAll("runs/tiny-007", 0o700))
	require.NoError(t, os.WriteFile("runs/tiny-007/metrics.jsonl", nil, 0o600))
	require.NoError(t, os.MkdirAll("runs/my run", 0o700))
	require.NoError(t, os.WriteFile("runs/my run/metrics.jsonl", nil, 0o600))
	p, _, _ := newPrompt(t, nil)
	for before, want := range map[string]string{
		"":                      "pattern",
		"pa":                    "params",
		"help tr":               "train",
		"set ":                  "mamba.state",
		"memory --gpu ":         "rtx-4090",
		"memory --":             "--batch",
		"sample x --":           "--top_k",
		"load t":                "tiny-007",
		"load tiny-007":         "tiny",
		`load "my`:              `"my run"`,
		"compare tiny-007 tiny": "tiny-007",
		"train --steps 4 --":    "--resume",
		"params ":               "rtx3070_d16",
	} {
		require.Contains(t, p.complete(before), want, before)
	}
	for _, before := range []string{"train --steps ", "runs ", "nonsense x", "quit "} {
		require.Empty(t, p.complete(before), before)
	}
	for _, name := range lab.GPUNames()[1:] {
		_, err := lab.FindGPU(name)
		require.NoError(t, err)
	}
	p.talk, p.chatting = &Talk{}, true
	require.Contains(t, p.complete("/st"), "/stats")
	require.Empty(t, p.complete("hello /st"))
}

// scripted is a session that trains until it is told otherwise.
type scripted struct {
	lab.Workbench
	closed chan struct{}
	died   error
}

func (s *scripted) Train(context.Context, lab.TrainRequest) (lab.Training, error) {
	return lab.Training{Run: "long", Folder: "runs/long", State: session.Running}, s.died
}

func (s *scripted) Status(context.Context) (lab.SessionStatus, error) {
	return lab.SessionStatus{Process: &session.Process{PID: 7}, Trainings: []lab.Training{{Run: "long", Folder: "runs/long", State: session.Running}}}, nil
}

func (s *scripted) Watch(ctx context.Context, _ string) iter.Seq2[session.Event, error] {
	return func(yield func(session.Event, error) bool) {
		step := runlog.Record{Kind: runlog.KindStep, Step: 3, Values: map[string]float64{"steps": 9, "loss": 2.5}}
		if !yield(session.Event{Record: step}, nil) {
			return
		}
		<-ctx.Done()
		yield(session.Event{}, ctx.Err())
	}
}

func (s *scripted) Close() error { close(s.closed); return nil }

func TestCtrlCStopsLookingAndLeavingLeavesTheTrainingToTheSession(t *testing.T) {
	elsewhere(t)
	bench := &scripted{closed: make(chan struct{})}
	p, _, _ := newPrompt(t, bench)
	file := filepath.Join(t.TempDir(), "history")
	s := onScreen(t, openHistory(file), func(*console) Taker { return p }, nil)
	s.shows("workbench> ")
	for _, verb := range []string{"train", "watch"} {
		s.types(verb + "\r")
		s.shows("step 3/9  loss 2.5000")
		s.types("\x03")
		s.shows("long goes on; watch shows it, stop ends it")
		s.shows("workbench> ")
	}
	s.types("nonsense\r")
	s.shows(`unknown verb "nonsense"`)
	s.types("\x04")
	s.ends()
	require.Equal(t, []string{"train", "watch", "nonsense"}, openHistory(file).entries)

	notes := &bytes.Buffer{}
	p.options.Notes = notes
	require.NoError(t, p.Close())
	<-bench.closed
	require.Equal(t, "long goes on in the session\n", notes.String())
}

func TestAScriptThatIsInterruptedEnds(t *testing.T) {
	elsewhere(t)
	p, _, notes := newPrompt(t, &scripted{closed: make(chan struct{})})
	ctx, cancel := context.WithCancel(within(t))
	p.notes = writing(func(text string) {
		notes.WriteString(text)
		if strings.Contains(text, "step 3/9") {
			cancel()
		}
	})
	err := Lines(ctx, p, strings.NewReader("train\nruns\n"))
	require.ErrorIs(t, err, context.Canceled)
	require.Contains(t, notes.String(), "long goes on")
}

type writing func(string)

func (w writing) Write(text []byte) (int, error) { w(string(text)); return len(text), nil }

func TestCtrlDLeavesTheChatFirst(t *testing.T) {
	p, _, _ := newPrompt(t, nil)
	p.talk, p.chatting = &Talk{Run: "first"}, true
	s := onScreen(t, &history{}, func(*console) Taker { return p }, nil)
	s.shows("first> ")
	s.types("/temperature 0\r")
	s.shows("temperature: 0")
	s.types("\x04")
	s.shows("workbench> ")
	s.types("pattern T2\r")
	s.shows("T2: 2 layers")
	s.types("\x04")
	s.ends()
}

func TestTheDeathOfASessionIsToldAndThePromptGoesOn(t *testing.T) {
	elsewhere(t)
	bench := &scripted{closed: make(chan struct{}), died: errors.New("train: the session of 12:00 (process 7) died: it was killed")}
	p, _, notes := newPrompt(t, bench)
	require.NoError(t, p.Greet(within(t)))
	require.Contains(t, notes.String(), "no session is running in runs: the session of 1999 died\n")
	s := onScreen(t, &history{}, func(*console) Taker { return p }, nil)
	s.types("train\r")
	s.shows("the session of 12:00 (process 7) died")
	bench.died = nil
	s.types("train --detach\r")
	s.shows("long trains in the session")
	s.types("\x04")
	s.ends()
}

func TestCommandsAreCutAtSemicolonsOutsideOfQuotes(t *testing.T) {
	lines, err := Commands(`sample "a; b"; chat what's up;quit`)
	require.NoError(t, err)
	require.Equal(t, []string{`sample "a; b"`, ` chat what's up`, `quit`}, lines)
	_, err = Commands(`runs; sample "a`)
	require.ErrorContains(t, err, "column 14: the quote that begins here does not end")
	found, err := words(`a  "b c"d "" é`)
	require.NoError(t, err)
	require.True(t, slices.Equal(found, []string{"a", "b cd", "", "é"}), found)
}
