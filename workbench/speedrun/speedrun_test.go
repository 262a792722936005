package speedrun

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"tandem/models"
	"tandem/workbench/config"
	"tandem/workbench/lab"
	"tandem/workbench/runlog"
)

func planFor(t *testing.T, card string, overrides ...string) (Plan, error) {
	t.Helper()
	t.Chdir(t.TempDir())
	return MakePlan(context.Background(), Options{Wish: Wish{
		GPU: card, Overrides: append([]string{"backend=go"}, overrides...),
	}})
}

func TestAPlanForACardFitsItAndItsNumbersAgree(t *testing.T) {
	for _, card := range []string{"RTX 3070", "RTX 4090", "H100", "B200"} {
		for _, dial := range []string{"depth=4", "depth=12", "pattern=(TM)8", "pattern=T2 M7 T M6 T M T2"} {
			t.Run(card+" "+dial, func(t *testing.T) {
				plan, err := planFor(t, card, dial)
				require.NoError(t, err)
				gpu, err := models.GPUByName(card)
				require.NoError(t, err)
				report, err := lab.Memory(plan.Config, &gpu)
				require.NoError(t, err, "it fits")
				tuned := *plan.Config
				tuned.Train.Batch, tuned.Train.Accumulate = plan.Tuning.Batch, 1
				_, err = lab.Memory(&tuned, &gpu)
				require.NoError(t, err, "so does its tuning")

				value := map[string]float64{}
				for _, v := range append(plan.Values, plan.Estimates...) {
					require.NotEmpty(t, v.Formula, v.Key)
					value[v.Key] = v.Value
				}
				train := plan.Config.Train
				require.EqualValues(t, train.Batch*train.Accumulate*plan.Config.Model.Resolved().Context, value["tokens_per_step"])
				require.LessOrEqual(t, value["steps"]*value["tokens_per_step"], value["tokens"])
				require.Greater(t, (value["steps"]+1)*value["tokens_per_step"], value["tokens"])
				require.InDelta(t, value["steps"]*value["tokens_per_step"]/report.Card.Speed.TokensPerSecond, value["base_seconds"], 0.5)
			})
		}
	}
}

func TestMinutesBoundTheStepsByThePredictedSpeed(t *testing.T) {
	long, err := planFor(t, "h100")
	require.NoError(t, err)
	short, err := planFor(t, "h100", "minutes=5")
	require.NoError(t, err)
	require.Less(t, short.Config.Train.Steps*short.Config.Train.Batch*short.Config.Train.Accumulate,
		long.Config.Train.Steps*long.Config.Train.Batch*long.Config.Train.Accumulate)
	for _, v := range short.Estimates {
		if v.Key == "base_seconds" {
			require.InEpsilon(t, 300, v.Value, 0.05)
		}
	}
}

func TestMinutesOnThisMachinesCardGoByTheSpeedThatIsMeasured(t *testing.T) {
	o := Options{Wish: Wish{GPU: "h100", Overrides: []string{
		"backend=go", "pattern=TM", "width=16", "vocab=300", "context=16", "batch=2", "accumulate=2", "minutes=0.01"}}}.resolved()
	p, err := o.planner()
	require.NoError(t, err)
	p.elsewhere = false // the Go backend stands for the card
	plan, err := p.make(context.Background())
	require.NoError(t, err)
	require.Equal(t, "measured on go: 8 steps of 4 rows", plan.Estimates[0].Formula)
	require.Equal(t, "tokens_per_second", plan.Estimates[0].Key)
	scaling := 8.0 * float64(p.horizon.Scaling)
	require.InDelta(t, min(scaling, 0.6*plan.Estimates[0].Value)/64, plan.Config.Train.Steps, 1.1)
}

func TestWhatIsGivenTakesThePlaceOfWhatIsDerived(t *testing.T) {
	plan, err := planFor(t, "h100", "depth=12", "batch=16", "accumulate=4", "weight_decay=0.5", "steps=77", "seed=3")
	require.NoError(t, err)
	train := plan.Config.Train
	require.Equal(t, []any{16, 4, 0.5, 77, uint64(3)}, []any{train.Batch, train.Accumulate, train.WeightDecay, train.Steps, train.Seed})
	given := 0
	for _, v := range plan.Values {
		if v.Formula == "given" {
			given++
		}
	}
	require.Equal(t, 5, given, "depth, batch, accumulate, weight_decay and steps are said to be given")
}

func TestTokensPerStepSayWhatMakesThem(t *testing.T) {
	for dial, formula := range map[string]string{
		"seed=1": config.BatchFormula, "accumulate=3": "batch · accumulate · context",
	} {
		plan, err := planFor(t, "h100", dial)
		require.NoError(t, err)
		at := slices.IndexFunc(plan.Values, func(v Value) bool { return v.Key == "tokens_per_step" })
		require.GreaterOrEqual(t, at, 0)
		require.Equal(t, formula, plan.Values[at].Formula, dial)
	}
}

func TestNoDecayIsNotTheUsualDecay(t *testing.T) {
	usual, err := planFor(t, "h100")
	require.NoError(t, err)
	without, err := planFor(t, "h100", "minutes=0", "weight_decay=0")
	require.NoError(t, err)
	require.Zero(t, without.Config.Train.WeightDecay)
	without.Config.Train.WeightDecay = usual.Config.Train.WeightDecay
	require.Equal(t, usual.Config.Train, without.Config.Train)
}

func TestWhatALateStageNeedsIsLookedForBeforeTheBaseIsTrained(t *testing.T) {
	folder := t.TempDir()
	strange := filepath.Join(folder, "strange.jsonl")
	require.NoError(t, os.WriteFile(strange, []byte(`{"text": "no conversation"}`+"\n"), 0o644))
	good := filepath.Join(folder, "good.jsonl")
	require.NoError(t, os.WriteFile(good, []byte(`{"messages": [{"role": "wizard", "content": "only this one is skipped"}]}`+"\n"), 0o644))
	empty := filepath.Join(folder, "empty.jsonl")
	require.NoError(t, os.WriteFile(empty, nil, 0o644))
	for name, c := range map[string]struct {
		wish Wish
		want string
	}{
		"a task without its examples":       {Wish{Tasks: []string{"gsm8k"}}, "speedrun: tasks: gsm8k needs examples; give tasks_data, a folder that holds gsm8k.jsonl"},
		"a task whose file is not there":    {Wish{Tasks: []string{"mmlu"}, TasksData: folder}, "speedrun: tasks: mmlu needs examples; give tasks_data, a folder that holds mmlu.jsonl"},
		"a task whose corpus is not there":  {Wish{Tasks: []string{"gsm8k=nowhere.jsonl"}}, `speedrun: tasks: gsm8k: open corpus "nowhere.jsonl"`},
		"a task that needs its bundle":      {Wish{Tasks: []string{"core/quiz"}, TasksData: folder}, "speedrun: tasks: core/quiz needs its bundle; give tasks_data"},
		"a task that runs code":             {Wish{Tasks: []string{"humaneval=quiz.jsonl"}}, "speedrun: tasks: humaneval=quiz.jsonl runs code that the model writes, and a speedrun never does"},
		"a group with one that runs code":   {Wish{Tasks: []string{"chat"}}, "speedrun: tasks: chat runs code that the model writes"},
		"a file without a conversation":     {Wish{Conversations: empty}, "empty.jsonl: there is no conversation in it"},
		"a task that does not exist":        {Wish{Tasks: []string{"bpb", "chess"}}, `speedrun: tasks: unknown task "chess"; there are bpb`},
		"a folder of tasks that is not":     {Wish{TasksData: "nowhere"}, `speedrun: tasks_data "nowhere": stat nowhere: no such file or directory; give a folder`},
		"a file that does not exist":        {Wish{Conversations: "nowhere.jsonl"}, `speedrun: open conversations "nowhere.jsonl": no such file or folder; give godoc-chat`},
		"a second file that does not exist": {Wish{Conversations: good + ", nowhere.jsonl"}, `open conversations "nowhere.jsonl"`},
		"a file of no known format":         {Wish{Conversations: strange}, `strange.jsonl:1: the fields text are of no known format`},
		"a conversation that is refused":    {Wish{Conversations: good}, ""},
		"a dataset that is elsewhere":       {Wish{Conversations: "hf:owner/name"}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Chdir(t.TempDir())
			c.wish.Overrides = []string{"backend=go", "depth=2", "steps=4"}
			_, err := Make(context.Background(), Options{Name: "one", Wish: c.wish, Stages: []string{stageReport}})
			require.Error(t, err)
			if c.want == "" {
				require.NotContains(t, err.Error(), "conversations")
				return
			}
			require.ErrorContains(t, err, c.want)
			require.NoDirExists(t, "runs", "nothing was begun")
		})
	}
}

func TestABatchThatDoesNotFitIsRefusedWithOneThatDoes(t *testing.T) {
	_, err := planFor(t, "rtx3070", "depth=12", "batch=64")
	require.ErrorIs(t, err, lab.ErrTooSmall)
	require.ErrorContains(t, err, "the fastest that fits is --batch ")
	if _, known := lab.FreeMemory(); known {
		_, err = planFor(t, "", "batch=1000000")
		require.ErrorContains(t, err, "free; --batch ")
	}
}

func TestADamagedStateIsRefusedAndNamed(t *testing.T) {
	for _, text := range []string{"", "{", "{}", `{"hash": 3}`} {
		t.Run(text, func(t *testing.T) {
			t.Chdir(t.TempDir())
			require.NoError(t, os.MkdirAll("runs/one", 0o755))
			require.NoError(t, os.WriteFile("runs/one/speedrun.json", []byte(text), 0o644))
			_, err := Make(context.Background(), Options{Name: "one", Wish: Wish{Overrides: []string{"backend=go"}}})
			require.ErrorContains(t, err, filepath.Join("runs", "one", "speedrun.json"))
			require.ErrorContains(t, err, "choose another --run NAME")
		})
	}
}

func TestASpeedrunThatCouldNotBeginLocksNothing(t *testing.T) {
	t.Chdir(t.TempDir())
	o := Options{Name: "one", Stages: []string{stageReport}, Wish: Wish{
		Overrides: []string{"backend=go", "pattern=T", "width=16", "vocab=300", "context=16", "steps=1"},
	}}
	full := filepath.Join(lab.RunsFolder, "one", speedrunFile+partSuffix)
	require.NoError(t, os.MkdirAll(full, 0o755)) // the file cannot be written, as on a full disk
	_, err := Make(context.Background(), o)
	require.ErrorContains(t, err, "write ")
	require.Empty(t, runlog.WriterOf(filepath.Join(lab.RunsFolder, "one")))
	require.NoError(t, os.Remove(full))
	_, err = Make(context.Background(), o)
	require.ErrorContains(t, err, "its base one-base is not finished")
}

func TestAFolderOfSomethingElseIsLeftAlone(t *testing.T) {
	for _, folder := range []string{"one", "one-base", "one-sft"} {
		t.Run(folder, func(t *testing.T) {
			t.Chdir(t.TempDir())
			file := filepath.Join(lab.RunsFolder, folder, "thesis.txt")
			require.NoError(t, os.MkdirAll(filepath.Dir(file), 0o755))
			require.NoError(t, os.WriteFile(file, nil, 0o644))
			_, err := Make(context.Background(), Options{Name: "one", Wish: Wish{
				Overrides: []string{"backend=go", "pattern=T", "width=16", "vocab=300", "context=16", "steps=1"},
			}})
			require.ErrorContains(t, err, fmt.Sprintf("%s exists and is not of this speedrun", filepath.Join(lab.RunsFolder, folder)))
			require.FileExists(t, file)
		})
	}
}

func TestAPlanThatIsCancelledIsInterrupted(t *testing.T) {
	t.Chdir(t.TempDir())
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_, err := MakePlan(ctx, Options{Wish: Wish{Overrides: []string{"backend=go", "pattern=T", "width=16", "vocab=300", "context=16"}}})
	require.ErrorIs(t, err, lab.ErrInterrupted)
	require.ErrorContains(t, err, "interrupted in planning")
	require.NoDirExists(t, lab.RunsFolder)
}

func TestATrainingThatWasKilledBeforeItsFirstCheckpointBeginsAnewAndADamagedOneIsKept(t *testing.T) {
	t.Chdir(t.TempDir())
	s := &speedrun{options: Options{}.resolved()}
	require.NoError(t, os.MkdirAll("runs/early", 0o755))
	require.NoError(t, os.WriteFile("runs/early/metrics.jsonl", nil, 0o644))
	run, err := s.begin("early")
	require.NoError(t, err)
	require.Nil(t, run)
	require.NoDirExists(t, "runs/early")

	require.NoError(t, os.MkdirAll("runs/damaged/step-000005", 0o755))
	_, err = s.begin("damaged")
	require.ErrorContains(t, err, "damaged has only checkpoints that cannot be used, such as step-000005")
	require.DirExists(t, "runs/damaged/step-000005")
}

func TestASpeedrunAtAPathMayEndInASeparatorAndIsCalledByItsPath(t *testing.T) {
	t.Chdir(t.TempDir())
	plan, err := MakePlan(context.Background(), Options{Name: "out/", Wish: Wish{GPU: "h100"}})
	require.NoError(t, err)
	require.Equal(t, []string{"./out-base", "./out-sft"}, []string{plan.Base, plan.Tuned})
	require.Regexp(t, `^# Speedrun \./out\n`, (&Report{Plan: plan}).Markdown())
	report := Report{Plan: plan, Base: &RunReport{Run: "out-base", Steps: 2}, Tuned: &RunReport{Run: "out-sft"}}
	require.Equal(t, []string{"workbench chat ./out-sft", "workbench serve ./out-sft", "workbench train --resume --run ./out-base --steps 4"}, report.Commands())
}
