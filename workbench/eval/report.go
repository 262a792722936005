package eval

import (
	"bufio"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// Report is what the tasks gave for one checkpoint of a run.
type Report struct {
	Run        string    `json:"run"`
	Step       int       `json:"step"`
	Pattern    string    `json:"pattern"`
	Parameters int       `json:"parameters"`
	Backend    string    `json:"backend"`
	Compute    string    `json:"compute"`
	Updated    time.Time `json:"updated"`
	Results    []Result  `json:"results"`
	// Means are CORE and the mean of the chat tasks, where all that they are made of is there.
	Means      []Mean      `json:"means,omitempty"`
	Comparison *Comparison `json:"comparison,omitempty"`
}

// The files of a report's folder.
const (
	reportJSON     = "report.json"
	reportMarkdown = "report.md"
	outcomesFolder = "examples"
)

// ErrNoReport is wrapped by OpenReport's error where a run was not evaluated yet.
var ErrNoReport = errors.New("there is no report")

// OpenReport reads a report, with its outcomes.
func OpenReport(folder string) (*Report, error) {
	path := filepath.Join(folder, reportJSON)
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w in %s", ErrNoReport, folder)
	}
	if err != nil {
		return nil, fmt.Errorf("open report: %w", err)
	}
	var r Report
	if err := json.Unmarshal(text, &r); err != nil {
		return nil, fmt.Errorf("open report: %s: %w; delete it and evaluate again", path, err)
	}
	for i := range r.Results {
		if r.Results[i].Outcomes, err = readOutcomes(outcomesFile(folder, r.Results[i].Task)); err != nil {
			return nil, fmt.Errorf("open report: %w", err)
		}
	}
	return &r, nil
}

// outcomesFile is where a task's examples are kept, one JSON object a line.
func outcomesFile(folder, task string) string {
	return filepath.Join(folder, outcomesFolder, strings.Map(func(r rune) rune {
		if strings.ContainsRune(`/\: `, r) {
			return '-'
		}
		return r
	}, task)+".jsonl")
}

func readOutcomes(path string) ([]Outcome, error) {
	file, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil // of a task that failed
	}
	if err != nil {
		return nil, err
	}
	defer file.Close()
	var outcomes []Outcome
	lines := bufio.NewScanner(file)
	lines.Buffer(nil, maxLine)
	for lines.Scan() {
		var o Outcome
		if err := json.Unmarshal(lines.Bytes(), &o); err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		outcomes = append(outcomes, o)
	}
	return outcomes, lines.Err()
}

// Add puts a result in the place of an earlier one of its task, or at the end. A failure does not replace a value.
func (r *Report) Add(result Result) {
	at := slices.IndexFunc(r.Results, func(old Result) bool { return old.Task == result.Task })
	switch {
	case at < 0:
		r.Results = append(r.Results, result)
	case result.Problem == "" || r.Results[at].Problem != "":
		r.Results[at] = result
	}
}

// Summarise computes the means: CORE of all tasks of the bundle, and ChatCORE of the five of conversation, if they are there.
func (r *Report) Summarise() {
	r.Means = nil
	var core, chat []Result
	missing, suite := false, 0
	for _, result := range r.Results {
		switch {
		case strings.HasPrefix(result.Task, "core"):
			core = append(core, result)
			missing, suite = missing || result.Problem != "", max(suite, result.Suite)
		case slices.Contains([]string{ARCEasy, ARCChallenge, MMLU, GSM8K, HumanEval}, result.Task) && result.Problem == "":
			chat = append(chat, result)
		}
	}
	if mean, ok := MeanOf("CORE", core); ok && !missing && mean.Tasks >= suite {
		r.Means = append(r.Means, mean)
	}
	if mean, ok := MeanOf("ChatCORE", chat); ok && mean.Tasks == 5 {
		r.Means = append(r.Means, mean)
	}
}

// takeUp adds results of tasks that another evaluation of the checkpoint has finished meanwhile.
func (r *Report) takeUp(folder string) {
	there, err := OpenReport(folder)
	if err != nil || there.Step != r.Step {
		return
	}
	for _, result := range there.Results {
		if !slices.ContainsFunc(r.Results, func(own Result) bool { return own.Task == result.Task }) {
			r.Results = append(r.Results, result)
			r.Summarise()
		}
	}
}

// Save writes report.json, report.md and the outcomes, and keeps the results of tasks that are in the folder and not in r.
// Each file is replaced at once, so that an interruption loses none.
func (r *Report) Save(folder string) error {
	r.takeUp(folder)
	r.Updated = time.Now().UTC()
	for _, result := range r.Results {
		if len(result.Outcomes) == 0 {
			continue
		}
		var lines strings.Builder
		encoder := json.NewEncoder(&lines)
		for _, o := range result.Outcomes {
			if err := encoder.Encode(o); err != nil {
				return fmt.Errorf("save report: %w", err)
			}
		}
		if err := replaceFile(outcomesFile(folder, result.Task), lines.String()); err != nil {
			return fmt.Errorf("save report: %w", err)
		}
	}
	text, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return fmt.Errorf("save report: %w", err)
	}
	if err := replaceFile(filepath.Join(folder, reportJSON), string(text)+"\n"); err != nil {
		return fmt.Errorf("save report: %w", err)
	}
	if err := replaceFile(filepath.Join(folder, reportMarkdown), r.Markdown()); err != nil {
		return fmt.Errorf("save report: %w", err)
	}
	return nil
}

func replaceFile(path, text string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	temporary := fmt.Sprintf("%s.%s.new", path, rand.Text()) // of this evaluation alone
	if err := os.WriteFile(temporary, []byte(text), 0o644); err != nil {
		os.Remove(temporary)
		return err
	}
	return os.Rename(temporary, path)
}
