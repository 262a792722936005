package lab

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"tandem/workbench/chat"
	"tandem/workbench/checkpoint"
	"tandem/workbench/config"
	"tandem/workbench/runlog"
	"tandem/workbench/train"
)

// talk writes count conversations to talk.jsonl, a wrong one and an over-long one with them.
func talk(t testing.TB, count int) {
	t.Helper()
	var lines []string
	for i := range count {
		lines = append(lines, fmt.Sprintf(`{"question":"%d+1?","answer":"It is <<%d+1=%d>>%d."}`, i, i, i+1, i+1))
	}
	lines = append(lines, `{"messages":[{"role":"robot","content":"beep"}]}`, `{"messages":[{"role":"user","content":"hello?"}]}`,
		fmt.Sprintf(`{"instruction":"%s","output":"no"}`, strings.Repeat("long ", 40)))
	require.NoError(t, os.WriteFile("talk.jsonl", []byte(strings.Join(lines, "\n")), 0o666))
}

// base trains a tiny run in a folder of its own, which becomes the working folder.
func base(t testing.TB) *Run {
	t.Helper()
	t.Chdir(t.TempDir())
	t.Setenv(CacheVariable, filepath.Join(t.TempDir(), "cache"))
	for i := range 60 {
		text := strings.Repeat(fmt.Sprintf("%d plus one is %d, it is. ", i, i+1), 8)
		require.NoError(t, os.MkdirAll("corpus", 0o777))
		require.NoError(t, os.WriteFile(fmt.Sprintf("corpus/%d.txt", i), []byte(text), 0o666))
	}
	c, err := config.Load("", []string{"data=corpus", "backend=go", "vocab=270", "pattern=TM", "width=32", "context=64", "batch=1",
		"steps=4", "sample_tokens=2", "run=base"})
	require.NoError(t, err)
	result, err := TrainConfig(t.Context(), c, TrainOptions{})
	require.NoError(t, err)
	return result.Run
}

// tune tunes the run for 12 steps, or as epochs and overrides say.
func tune(t testing.TB, ctx context.Context, o TuneOptions, overrides ...string) (*TuneResult, error) {
	t.Helper()
	var c *config.Config
	if o.Resume != nil {
		c = o.Resume.Info.Config
	} else {
		c = TuneConfig(o.Parent)
		usual := []string{"data=talk.jsonl", "batch=2", "log_every=1", "eval_every=6", "save_every=100", "sample_tokens=4"}
		if o.Epochs == 0 {
			usual = append(usual, "steps=12")
		}
		overrides = append(usual, overrides...)
	}
	require.NoError(t, c.Override(overrides))
	return Tune(ctx, c, o)
}

// weights are those of a run's newest checkpoint, and its optimizer.
func weights(t testing.TB, run *Run) checkpoint.Snapshot {
	t.Helper()
	snapshot, _, _, err := checkpoint.Latest(run.Folder)
	require.NoError(t, err)
	snapshot.State, snapshot.Metadata = nil, nil
	return snapshot
}

func TestTuningLearnsConversationsAndCountsWhatItSkips(t *testing.T) {
	parent := base(t)
	talk(t, 80)
	tasks := EvalOptions{Tasks: []string{"gsm8k", "mmlu"}, Data: "tasks", Limit: 2, Answers: EvalAnswers{Tokens: 4}}
	require.NoError(t, os.Mkdir("tasks", 0o777))
	require.NoError(t, os.WriteFile("tasks/gsm8k.jsonl", []byte(`{"question":"1+1?","answer":"#### 2"}`), 0o666))
	var said []string
	say := func(line string) { said = append(said, line) }
	result, err := tune(t, t.Context(), TuneOptions{Parent: parent, Epochs: 3, Tasks: tasks, Say: say}, "eval_every=20")
	require.NoError(t, err)
	require.Equal(t, "base-sft-001", result.Name)
	require.Equal(t, &Parent{Run: "base", Checkpoint: "step-000004", Step: 4, Optimizer: true}, result.Parent)
	require.InDelta(t, 3, result.Epochs, 0.1)
	require.Less(t, result.BPB, result.BaseBPB)
	require.Greater(t, result.Utilisation, 0.5)
	require.True(t, strings.HasPrefix(result.Sample, "user: "), result.Sample)

	c := result.Conversations
	require.Equal(t, 83, c.Read)
	require.Equal(t, 80, c.Train+c.Validation)
	require.Positive(t, c.Validation)
	skipped := map[string]int{}
	for _, s := range c.Skipped {
		require.Contains(t, s.First, "talk.jsonl:8")
		skipped[s.Reason] = s.Count
	}
	require.Equal(t, map[string]int{chat.WrongRoles: 1, chat.NoAssistant: 1, tooLong: 1}, skipped)

	run, err := OpenRun("base-sft-001")
	require.NoError(t, err)
	require.Equal(t, c, run.Info.Conversations)
	require.Equal(t, result.Steps, run.Info.Config.Train.Steps)
	require.Equal(t, 4, run.Info.Config.Train.Warm, "the optimizer's state is four steps old")
	records, _, err := runlog.Read(filepath.Join(run.Folder, runlog.MetricsFile))
	require.NoError(t, err)
	require.Equal(t, 83.0, records[0].Values["read"])
	require.Equal(t, 1.0, records[0].Values["skipped: "+chat.WrongRoles])
	scored := 0
	for _, record := range records {
		if _, ok := record.Values["gsm8k"]; ok {
			scored++
		}
	}
	require.Equal(t, 1+result.Steps/20, scored)
	require.True(t, slices.ContainsFunc(said, func(line string) bool { return strings.HasPrefix(line, "failed: mmlu: ") }), said)

	opened, err := OpenChat(run, "go", EngineOptions{}, func(string) {})
	require.NoError(t, err)
	defer opened.Close()
	require.True(t, opened.Tuned())
}

func TestEpochsAreCountedInStepsOfSeveralBatches(t *testing.T) {
	parent := base(t)
	talk(t, 80)
	result, err := tune(t, t.Context(), TuneOptions{Parent: parent, Epochs: 3}, "batch=1", "accumulate=2", "eval_batches=1")
	require.NoError(t, err)
	require.InDelta(t, 3, result.Epochs, 0.1)
	bounded, err := tune(t, t.Context(), TuneOptions{Parent: parent, Epochs: 3, MostSteps: result.Steps / 2}, "batch=1", "accumulate=2", "eval_batches=1")
	require.NoError(t, err)
	require.Equal(t, result.Steps/2, bounded.Steps)
}

func TestAnInterruptedTuningResumesBitForBit(t *testing.T) {
	parent := base(t)
	talk(t, 80)
	straight, err := tune(t, t.Context(), TuneOptions{Parent: parent})
	require.NoError(t, err)

	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	halfway := func(e train.Event) {
		if e.Step == 6 {
			cancel()
		}
	}
	_, err = tune(t, ctx, TuneOptions{Parent: parent, Report: halfway}, "run=halves")
	require.ErrorIs(t, err, train.ErrInterrupted)
	halves, err := OpenRun("halves")
	require.NoError(t, err)
	require.Equal(t, 6, weights(t, halves).Step)
	resumed, err := tune(t, t.Context(), TuneOptions{Resume: halves})
	require.NoError(t, err)

	require.Equal(t, weights(t, straight.Run), weights(t, resumed.Run))
	require.Equal(t, straight.BPB, resumed.BPB)
	require.Equal(t, straight.Epochs, resumed.Epochs)
	require.Equal(t, straight.BaseBPB, resumed.BaseBPB)

	cold, err := tune(t, t.Context(), TuneOptions{Parent: parent, Cold: true})
	require.NoError(t, err)
	require.False(t, cold.Parent.Optimizer)
	require.Zero(t, cold.Run.Info.Config.Train.Warm)
	require.NotEqual(t, weights(t, straight.Run).Model, weights(t, cold.Run).Model, "the optimizer's state matters")

	_, err = tune(t, t.Context(), TuneOptions{Resume: resumed.Run})
	require.ErrorContains(t, err, "resume halves: all 12 steps are done; raise --steps to train on")
	talk(t, 81)
	_, err = tune(t, t.Context(), TuneOptions{Resume: resumed.Run}, "steps=14")
	require.ErrorContains(t, err, "it was saved with other documents or another tokenizer")
	_, err = TrainConfig(t.Context(), resumed.Run.Info.Config, TrainOptions{Resume: resumed.Run})
	require.ErrorContains(t, err, "it is being tuned on conversations; continue it with: workbench sft halves --resume")
}

func TestATuningThatIsInterruptedBeforeItsRunIsMadeSaysSo(t *testing.T) {
	parent := base(t)
	talk(t, 80)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	_, err := tune(t, ctx, TuneOptions{Parent: parent, Say: func(line string) {
		if strings.HasSuffix(line, "compiling") {
			cancel()
		}
	}})
	require.ErrorIs(t, err, context.Canceled)
	found, err := filepath.Glob("runs/*")
	require.NoError(t, err)
	require.Equal(t, []string{"runs/base"}, found)
}

func TestWhatCannotBeTunedIsRefused(t *testing.T) {
	parent := base(t)
	talk(t, 0)
	require.NoError(t, os.WriteFile("few.jsonl", []byte(`{"question":"1+1?","answer":"2"}`), 0o666))
	require.NoError(t, os.WriteFile("other.jsonl", []byte(`{"prompt":"1+1?"}`), 0o666))
	for name, test := range map[string]struct {
		o         TuneOptions
		overrides []string
		says      string
	}{
		"nothing to learn":        {TuneOptions{Parent: parent}, nil, "conversations talk.jsonl: none of 3 is left to learn, 0 held out, skipped 1: wrong roles (talk.jsonl:1: message 0 has role"},
		"no such file":            {TuneOptions{Parent: parent}, []string{"data=nowhere.jsonl"}, `open conversations "nowhere.jsonl": no such file or folder; give godoc-chat`},
		"an empty folder":         {TuneOptions{Parent: parent}, []string{"data=" + t.TempDir()}, "no files found"},
		"another format":          {TuneOptions{Parent: parent}, []string{"data=few.jsonl,other.jsonl"}, "read conversations other.jsonl:1: the fields prompt are of no known format"},
		"no such package":         {TuneOptions{Parent: parent}, []string{"data=godoc-chat:no/such"}, "no folder"},
		"a question too long":     {TuneOptions{Parent: parent}, []string{"data=few.jsonl", "sample_prompt=" + strings.Repeat("why ", 70)}, "sample_prompt has "},
		"a run that exists":       {TuneOptions{Parent: parent}, []string{"run=base"}, `make run "base": runs/base exists`},
		"an unknown task":         {TuneOptions{Parent: parent, Tasks: EvalOptions{Tasks: []string{"juggling"}}}, []string{"data=few.jsonl"}, `tasks: unknown task "juggling"; there are bpb`},
		"bits per byte of text":   {TuneOptions{Parent: parent, Tasks: EvalOptions{Tasks: []string{"bpb"}}}, []string{"data=few.jsonl"}, "tasks: bpb is measured on text; bits per byte of the assistant's text are measured anyway, so leave it out"},
		"fewer than no examples":  {TuneOptions{Parent: parent, Tasks: EvalOptions{Tasks: []string{"godoc"}, Limit: -1}}, []string{"data=few.jsonl"}, "tasks: a limit of -1 examples: may not be negative; 0 is all"},
		"a run that is no tuning": {TuneOptions{Resume: parent}, nil, "resume base: it was trained on text; continue it with: workbench train base --resume"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := tune(t, t.Context(), test.o, test.overrides...)
			require.ErrorContains(t, err, test.says)
			require.NotContains(t, err.Error(), "\n")
		})
	}
	found, err := filepath.Glob("runs/*")
	require.NoError(t, err)
	require.Equal(t, []string{"runs/base"}, found, "no folder is left behind")

	var said []string
	result, err := tune(t, t.Context(), TuneOptions{Parent: parent, Say: func(line string) { said = append(said, line) }}, "data=few.jsonl", "steps=2")
	require.NoError(t, err, "without validation it still works")
	require.Zero(t, result.BPB)
	require.Contains(t, said, "no conversation is held out (about 1 in 20 is), so there is no validation, and tasks are not run")

	path := filepath.Join(parent.Folder, TokenizerFile)
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(path, []byte(strings.ReplaceAll(string(text), "<|user_", "<|spare_")), 0o666))
	_, err = tune(t, t.Context(), TuneOptions{Parent: parent})
	require.ErrorContains(t, err, "tune base: its vocabulary lacks the tokens of a chat; train a model whose tokenizer workbench made: chat template: the tokenizer has no <|user_start|>")
}
