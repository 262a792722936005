package lab

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"

	"tandem/workbench/chat"
	"tandem/workbench/eval"
)

// reportQuestions are asked of every tuned model, in words that godoc-chat has.
var reportQuestions = []string{"What does strings.Cut do?", "How is errors.Is declared?", "What is http.Client in net/http?"}

// reportTokens is the tokens of an answer at most.
const reportTokens = 96

// SpeedrunReport is what a speedrun has come to.
type SpeedrunReport struct {
	Plan SpeedrunPlan `json:"plan"`
	// Stages are those before the report.
	Stages map[string]*SpeedrunStep `json:"stages"`
	Base   *SpeedrunRun             `json:"base,omitempty"`
	Tuned  *SpeedrunRun             `json:"tuned,omitempty"`
	// Evaluations are of the base and of the tuned run.
	Evaluations []*EvalReport    `json:"evaluations,omitempty"`
	Transcript  []SpeedrunAnswer `json:"transcript,omitempty"`
}

// SpeedrunRun is a finished training in numbers.
type SpeedrunRun struct {
	Run        string  `json:"run"`
	Parameters int     `json:"parameters"`
	Steps      int     `json:"steps"`
	Tokens     int64   `json:"tokens"`
	Seconds    float64 `json:"seconds"`
	// BPB is bits per byte of held-out text; of a tuning of the assistant's, and Before is that of the base. UnigramBPB is
	// that of a model that only counts tokens.
	BPB        float64 `json:"bpb,omitempty"`
	UnigramBPB float64 `json:"unigram_bpb,omitempty"`
	Before     float64 `json:"before,omitempty"`
	// Conversations counts a tuning's.
	Conversations *Conversations `json:"conversations,omitempty"`
}

// SpeedrunAnswer is one exchange of the transcript. Problem is why there is no answer.
type SpeedrunAnswer struct {
	Question string `json:"question"`
	Answer   string `json:"answer"`
	Problem  string `json:"problem,omitempty"`
}

func runReport(t runProgress) *SpeedrunRun {
	info := t.run.Info
	return &SpeedrunRun{
		Run: t.run.Name, Parameters: info.Parameters, Steps: t.loop.Step, Tokens: t.loop.Tokens, Seconds: t.loop.Seconds,
		BPB: t.loop.LastBPB, UnigramBPB: info.UnigramBPB, Before: info.BaseBPB, Conversations: info.Conversations,
	}
}

// report collects what is finished, from the runs themselves.
func (s *speedrun) report() (*SpeedrunReport, error) {
	r := &SpeedrunReport{Plan: s.state.Plan, Stages: maps.Clone(s.state.Stages)}
	delete(r.Stages, stageReport)
	runs, err := s.runs()
	if err != nil {
		return nil, err
	}
	for _, t := range runs {
		part := runReport(t)
		if t.run.Info.Conversations == nil {
			r.Base = part
		} else {
			r.Tuned = part
		}
		evaluation, err := evaluationOf(t)
		if errors.Is(err, eval.ErrNoReport) {
			continue
		}
		if err != nil {
			return nil, err
		}
		r.Evaluations = append(r.Evaluations, evaluation)
	}
	if s.state.Stages[stageReport].Done {
		var written SpeedrunReport
		text, err := os.ReadFile(filepath.Join(s.folder, speedrunJSON))
		if err == nil {
			err = json.Unmarshal(text, &written)
		}
		if err != nil {
			return nil, fmt.Errorf("speedrun: read its report: %w", err)
		}
		r.Transcript = written.Transcript
	}
	return r, nil
}

func (s *speedrun) reported() (bool, error) {
	if !s.state.Stages[stageReport].Done {
		return false, nil // what it tells of may have changed
	}
	return s.has(speedrunJSON, speedrunMarkdown)
}

func (s *speedrun) makeReport(ctx context.Context) error {
	if _, err := s.base(); err != nil {
		return err
	}
	r, err := s.report()
	if err != nil {
		return err
	}
	if r.Tuned != nil {
		if r.Transcript, err = s.ask(ctx); err != nil {
			return err
		}
	}
	if err := writeJSON(filepath.Join(s.folder, speedrunJSON), r); err != nil {
		return err
	}
	return writeWhole(filepath.Join(s.folder, speedrunMarkdown), []byte(r.Markdown()))
}

// ask puts each question to the tuned model, in a conversation of its own.
func (s *speedrun) ask(ctx context.Context) ([]SpeedrunAnswer, error) {
	run, err := OpenRun(runFolder(s.state.Plan.Tuned))
	if err != nil {
		return nil, err
	}
	opened, err := OpenChat(run, s.state.Plan.Config.Backend, EngineOptions{}, s.options.Say)
	if err != nil {
		return nil, err
	}
	defer opened.Close()
	var answers []SpeedrunAnswer
	for _, question := range reportQuestions {
		answer := SpeedrunAnswer{Question: question}
		session := opened.Session("")
		text := strings.Builder{}
		for delta, err := range session.Ask(ctx, question, chat.Options{MaxTokens: reportTokens, Overflow: opened.Overflow}) {
			if err != nil {
				answer.Problem = err.Error()
				break
			}
			text.WriteString(delta.Text)
		}
		session.Close()
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		answer.Answer = strings.TrimSpace(text.String())
		answers = append(answers, answer)
	}
	return answers, nil
}
