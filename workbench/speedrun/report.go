package speedrun

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
	"tandem/workbench/lab"
)

// reportQuestions are asked of every tuned model, in words that godoc-chat has.
var reportQuestions = []string{"What does strings.Cut do?", "How is errors.Is declared?", "What is http.Client in net/http?"}

// reportTokens is the tokens of an answer at most.
const reportTokens = 96

// Report is what a speedrun has come to.
type Report struct {
	Plan Plan `json:"plan"`
	// Stages are those before the report.
	Stages map[string]*Stage `json:"stages"`
	Base   *RunReport        `json:"base,omitempty"`
	Tuned  *RunReport        `json:"tuned,omitempty"`
	// Evaluations are of the base and of the tuned run.
	Evaluations []*lab.EvalReport `json:"evaluations,omitempty"`
	Transcript  []Answer          `json:"transcript,omitempty"`
}

// RunReport is a finished training in numbers.
type RunReport struct {
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
	Conversations *lab.Conversations `json:"conversations,omitempty"`
}

// Answer is one exchange of the transcript. Problem is why there is no answer.
type Answer struct {
	Question string `json:"question"`
	Answer   string `json:"answer"`
	Problem  string `json:"problem,omitempty"`
}

func runReport(t runProgress) *RunReport {
	info := t.run.Info
	return &RunReport{
		Run: t.run.Name, Parameters: info.Parameters, Steps: t.loop.Step, Tokens: t.loop.Tokens, Seconds: t.loop.Seconds,
		BPB: t.loop.LastBPB, UnigramBPB: info.UnigramBPB, Before: info.BaseBPB, Conversations: info.Conversations,
	}
}

// report collects what is finished, from the runs themselves.
func (s *speedrun) report() (*Report, error) {
	r := &Report{Plan: s.state.Plan, Stages: maps.Clone(s.state.Stages)}
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
		var written Report
		text, err := os.ReadFile(filepath.Join(s.folder, reportJSON))
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
	return s.has(reportJSON, reportMarkdown)
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
	if err := writeJSON(filepath.Join(s.folder, reportJSON), r); err != nil {
		return err
	}
	return writeWhole(filepath.Join(s.folder, reportMarkdown), []byte(r.Markdown()))
}

// ask puts each question to the tuned model, in a conversation of its own.
func (s *speedrun) ask(ctx context.Context) ([]Answer, error) {
	run, err := lab.OpenRun(lab.RunFolder(s.state.Plan.Tuned))
	if err != nil {
		return nil, err
	}
	opened, err := lab.OpenChat(run, s.state.Plan.Config.Backend, lab.EngineOptions{}, s.options.Say)
	if err != nil {
		return nil, err
	}
	defer opened.Close()
	var answers []Answer
	for _, question := range reportQuestions {
		answer := Answer{Question: question}
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
