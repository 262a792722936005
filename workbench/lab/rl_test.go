package lab

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"tandem/workbench/eval"
	"tandem/workbench/runlog"
	"tandem/workbench/train"
)

// rl trains the run on rewards for 4 rounds of 2 questions with 4 answers, or as the caller says.
func rl(t testing.TB, ctx context.Context, o RLOptions, overrides ...string) (*RLResult, error) {
	t.Helper()
	if o.Resume != nil {
		c := o.Resume.Info.Config
		require.NoError(t, c.Override(overrides))
		return RL(ctx, c, o)
	}
	c := RLConfig(o.Parent)
	c.Train.Steps = 4
	require.NoError(t, c.Override(append([]string{"batch=2", "eval_every=2", "save_every=100"}, overrides...)))
	s := &o.Settings
	if s.Questions == 0 {
		s.Questions, s.Group, s.HeldQuestions, s.HeldSamples = 2, 4, 3, 2
	}
	if s.MaxTokens == 0 {
		s.MaxTokens = 8
	}
	return RL(ctx, c, o)
}

// letters are questions whose answers are worth their share of some letters.
func letters(count int, wanted string) []RLQuestion {
	var questions []RLQuestion
	for i := range count {
		questions = append(questions, RLQuestion{ID: fmt.Sprint(i), Question: fmt.Sprintf("say %d", i), Reward: func(answer string) float64 {
			found := 0
			for _, letter := range answer {
				if strings.ContainsRune(wanted, letter) {
					found++
				}
			}
			return float64(found) / 6
		}})
	}
	return questions
}

func TestAModelLearnsWhatItsAnswersAreRewardedFor(t *testing.T) {
	parent := base(t)
	var reported []train.Event
	result, err := rl(t, t.Context(), RLOptions{
		Parent: parent, Questions: letters(6, "e"), Held: letters(2, "e"), Report: func(e train.Event) { reported = append(reported, e) },
		Settings: RLSettings{Questions: 3, Group: 8, MaxTokens: 6, TopK: -1, HeldSamples: 4},
	}, "steps=30", "lr_scale=1", "eval_every=15")
	require.NoError(t, err)
	require.Equal(t, "base-rl-001", result.Name)
	require.Equal(t, &Parent{Run: "base", Checkpoint: "step-000004", Step: 4}, result.Parent)
	require.EqualValues(t, 30*3*8, result.Rollouts)
	require.Less(t, result.Before["held_reward"], 0.15)
	require.Positive(t, result.Before["held_reward"])
	require.Zero(t, result.Before["pass@4"], "an answer worth less than 1 is not right")
	require.Greater(t, result.After["held_reward"], 0.8)
	require.Greater(t, result.Reward, 0.7)
	require.Contains(t, result.After, "pass@4")
	require.Positive(t, result.RollSeconds)
	require.Greater(t, result.Seconds, result.RollSeconds)
	require.True(t, strings.HasPrefix(result.Sample, "user: say "), result.Sample)
	require.Contains(t, reported[1].Text, "rollouts/s")

	run, err := OpenRun("base-rl-001")
	require.NoError(t, err)
	require.Equal(t, 8, run.Info.RL.Group)
	records, _, err := runlog.Read(filepath.Join(run.Folder, runlog.MetricsFile))
	require.NoError(t, err)
	steps, scores := 0, 0
	for _, record := range records {
		switch record.Kind {
		case runlog.KindStep:
			steps++
			require.Contains(t, record.Values, "rollouts_per_second")
			require.Less(t, record.Values["ended"], 1.0, "most are as long as may be")
			require.LessOrEqual(t, record.Values["length"], 7.0, "six, and the token that ends")
			require.NotContains(t, record.Values, "kl")
		case runlog.KindEval:
			scores++
			require.Contains(t, record.Values, "pass@1")
		}
	}
	require.Equal(t, []int{30, 3}, []int{steps, scores})
	opened, err := OpenChat(run, "go", EngineOptions{}, func(string) {})
	require.NoError(t, err)
	defer opened.Close()
	require.True(t, opened.Tuned())
}

func TestTrainingSeesAnswersAsTheyWereDrawn(t *testing.T) {
	settings := RLSettings{Questions: 2, Group: 4, PolicyOptions: PolicyOptions{Clip: 1e-4}}
	result, err := rl(t, t.Context(), RLOptions{Parent: base(t), Questions: letters(5, "abcdefghijklmnopqrstuvwxyz"), Settings: settings}, "steps=1")
	require.NoError(t, err)
	records, _, err := runlog.Read(filepath.Join(result.Run.Folder, runlog.MetricsFile))
	require.NoError(t, err)
	for _, record := range records {
		if record.Kind == runlog.KindStep {
			require.Positive(t, record.Values["used"])
			require.Zero(t, record.Values["clipped"])
			require.Less(t, record.Values["drift"], 1e-4, "no token's probability differs by a ten-thousandth")
			require.Contains(t, record.Values, "drift")
		}
	}
}

func TestAnInterruptedTrainingOnRewardsResumesBitForBit(t *testing.T) {
	parent := base(t)
	questions := letters(5, "abcdefghijklmnopqrstuvwxyz")
	settings := RLSettings{Questions: 2, Group: 4, HeldSamples: 2, PolicyOptions: PolicyOptions{KL: 0.05, Clip: 0.2, Updates: 2}}
	straight, err := rl(t, t.Context(), RLOptions{Parent: parent, Questions: questions, Settings: settings}, "lr_scale=1")
	require.NoError(t, err)

	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	halfway := func(e train.Event) {
		if e.Step == 2 {
			cancel()
		}
	}
	_, err = rl(t, ctx, RLOptions{Parent: parent, Questions: questions, Settings: settings, Report: halfway}, "run=halves", "lr_scale=1")
	require.ErrorIs(t, err, train.ErrInterrupted)
	halves, err := OpenRun("halves")
	require.NoError(t, err)
	require.Equal(t, 2, weights(t, halves).Step)
	require.NoError(t, os.RemoveAll(parent.Folder), "the weights that KL compares with are the run's own")
	resumed, err := rl(t, t.Context(), RLOptions{Resume: halves, Questions: questions})
	require.NoError(t, err)
	require.Equal(t, weights(t, straight.Run), weights(t, resumed.Run))
	require.Equal(t, straight.Rollouts, resumed.Rollouts)
	require.Equal(t, straight.After, resumed.After)
	records, _, err := runlog.Read(filepath.Join(halves.Folder, runlog.MetricsFile))
	require.NoError(t, err)
	last := records[len(records)-1]
	for _, record := range records {
		if record.Kind == runlog.KindStep {
			last = record
		}
	}
	require.Positive(t, last.Values["kl"])
	require.Contains(t, last.Values, "clipped")

	_, err = rl(t, t.Context(), RLOptions{Resume: resumed.Run, Questions: questions})
	require.ErrorContains(t, err, "resume halves: all 4 steps are done; raise --steps to train on")
	_, err = rl(t, t.Context(), RLOptions{Resume: resumed.Run, Questions: letters(4, "")}, "steps=6")
	require.ErrorContains(t, err, "resume halves: it was begun with other questions than the caller has now")
	for command, resume := range map[string]func() error{
		"train": func() error {
			_, err := TrainConfig(t.Context(), halves.Info.Config, TrainOptions{Resume: halves})
			return err
		},
		"sft": func() error { _, err := tune(t, t.Context(), TuneOptions{Resume: halves}); return err },
	} {
		require.ErrorContains(t, resume(), "resume halves: it is being trained on rewards; continue it with: workbench rl halves --resume", command)
	}
}

func TestQuestionsComeFromArithmeticAndFromFiles(t *testing.T) {
	parent := base(t)
	result, err := rl(t, t.Context(), RLOptions{Parent: parent}, "steps=1")
	require.NoError(t, err)
	require.EqualValues(t, 8, result.Rollouts)
	require.Equal(t, map[string]float64{"held_reward": 0, "pass@1": 0, "pass@2": 0}, result.After)
	require.Negative(t, result.Run.Info.Config.Train.SpikeLimit)
	require.Equal(t, parent.Info.Config.Train.SpikeLimit, TuneConfig(result.Run).Train.SpikeLimit, "a tuning after it is guarded again")

	lines := []string{`{"question":"1+1?","answer":"#### 2"}`, `{"question":"none","answer":"two"}`, fmt.Sprintf(`{"question":"%s","answer":"#### 2"}`, strings.Repeat("long ", 40))}
	require.NoError(t, os.WriteFile("few.jsonl", []byte(strings.Join(lines, "\n")), 0o666))
	var said []string
	c := RLConfig(parent)
	require.NoError(t, c.Override([]string{"data=few.jsonl", "batch=2", "run=few"}))
	result, err = RL(t.Context(), c, RLOptions{Parent: parent, Say: func(line string) { said = append(said, line) },
		Settings: RLSettings{Held: ArithmeticSpec, Questions: 2, Group: 4, HeldQuestions: 3, HeldSamples: 2, MaxTokens: 8}})
	require.NoError(t, err)
	require.Equal(t, 1, result.Steps, "a round asks the one question twice")
	require.Contains(t, said, `questions few.jsonl: 1 to learn, 3 held out; skipped 2: few.jsonl:2: its answer has no "#### number"`)
}

func TestRoundsAskEachQuestionOnceBeforeAnyAgain(t *testing.T) {
	parent := base(t)
	r := &reinforcement{config: RLConfig(parent), settings: RLSettings{Questions: 2}, questions: &rlQuestions{train: letters(3, "")}}
	var order []string
	for round := range 6 {
		for _, q := range r.ask(round) {
			order = append(order, q.ID)
		}
	}
	for pass := range 4 {
		require.ElementsMatch(t, []string{"0", "1", "2"}, order[3*pass:3*pass+3], order)
	}
	require.Equal(t, order[4:6], []string{r.ask(2)[0].ID, r.ask(2)[1].ID})
}

func TestTheRewardIsForTheRightNumber(t *testing.T) {
	r := &reinforcement{config: RLConfig(base(t))}
	questions, err := r.questionsOf(t.Context(), ArithmeticSpec, &eval.Skipped{})
	require.NoError(t, err)
	require.Len(t, questions, 1200)
	require.Equal(t, "What is 0 - 1?", questions[4].Question)
	for answer, want := range map[string]float64{"#### -1": 1, "It is\n#### -1.0": 1, "-1": 0, "#### 1": 0, "": 0} {
		require.Equal(t, want, questions[4].Reward(answer), answer)
	}
}

func TestWhatCannotBeTrainedOnRewardsIsRefused(t *testing.T) {
	parent := base(t)
	require.NoError(t, os.WriteFile("long.jsonl", []byte(fmt.Sprintf(`{"question":"%s","answer":"#### 2"}`, strings.Repeat("long ", 40))), 0o666))
	require.NoError(t, os.WriteFile("none.jsonl", []byte(`{"question":"none","answer":"two"}`), 0o666))
	for name, test := range map[string]struct {
		o         RLOptions
		overrides []string
		says      string
	}{
		"one answer a group":      {RLOptions{Parent: parent, Settings: RLSettings{Questions: 1, Group: 1}}, nil, "rl base: group 1: must lie between 2"},
		"the likeliest answers":   {RLOptions{Parent: parent, Settings: RLSettings{Temperature: 1e-4}}, nil, "temperature 0.0001: must lie between 0.01"},
		"steps run away":          {RLOptions{Parent: parent, Settings: RLSettings{PolicyOptions: PolicyOptions{Updates: 2}}}, nil, "updates 2: several steps on the same answers need clip"},
		"no such file":            {RLOptions{Parent: parent}, []string{"data=nowhere.jsonl"}, "nowhere.jsonl"},
		"questions too long":      {RLOptions{Parent: parent}, []string{"data=long.jsonl"}, "questions long.jsonl: none of 1 is left to learn from: long.jsonl:1: it has "},
		"answers too long":        {RLOptions{Parent: parent, Settings: RLSettings{MaxTokens: 60}}, nil, "which with max_tokens 60 is more than the context, 64; lower max_tokens"},
		"none to be held out":     {RLOptions{Parent: parent, Settings: RLSettings{Held: "none.jsonl"}}, nil, "rl base: questions held out none.jsonl: none of 0 can be asked"},
		"all held out too long":   {RLOptions{Parent: parent, Settings: RLSettings{Held: "long.jsonl"}}, nil, "rl base: questions held out long.jsonl: none of 1 can be asked"},
		"a run that exists":       {RLOptions{Parent: parent}, []string{"run=base"}, `make run "base": runs/base exists`},
		"a sample too long":       {RLOptions{Parent: parent}, []string{"sample_prompt=" + strings.Repeat("why ", 70)}, "rl base: sample_prompt has "},
		"a time":                  {RLOptions{Parent: parent}, []string{"minutes=1"}, "minutes 1: a training on rewards is as long as its steps"},
		"a run that is none such": {RLOptions{Resume: parent}, nil, "resume base: it was trained on text; continue it with: workbench train base --resume"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := rl(t, t.Context(), test.o, test.overrides...)
			require.ErrorContains(t, err, test.says)
			require.NotContains(t, err.Error(), "\n")
		})
	}
	found, err := filepath.Glob("runs/*")
	require.NoError(t, err)
	require.Equal(t, []string{"runs/base"}, found, "no folder is left behind")

	path := filepath.Join(parent.Folder, TokenizerFile)
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(path, []byte(strings.ReplaceAll(string(text), "<|user_", "<|spare_")), 0o666))
	_, err = rl(t, t.Context(), RLOptions{Parent: parent})
	require.ErrorContains(t, err, "rl base: its vocabulary lacks the tokens of a chat; train a model whose tokenizer workbench made: chat template: the tokenizer has no <|user_start|>")
}
