package eval

import (
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml"

	"tandem/workbench/tokenizer"
)

// Bundle is CORE's tasks in a folder as DCLM publishes them: core.yaml, eval_meta_data.csv and eval_data/.
type Bundle struct {
	folder string
	tasks  []coreTask
}

type coreTask struct {
	Label     string  `yaml:"label"`
	Form      string  `yaml:"icl_task_type"`
	Dataset   string  `yaml:"dataset_uri"`
	Shots     []int   `yaml:"num_fewshot"`
	Delimiter *string `yaml:"continuation_delimiter"`

	baseline float64 // 0…1
}

const (
	coreFile     = "core.yaml"
	baselineFile = "eval_meta_data.csv"
	dataFolder   = "eval_data"
)

// OpenBundle reads the list of tasks.
func OpenBundle(folder string) (*Bundle, error) {
	text, err := os.ReadFile(filepath.Join(folder, coreFile))
	if err != nil {
		return nil, fmt.Errorf("open CORE: %w; give the folder that holds %s", err, coreFile)
	}
	var list struct {
		Tasks []coreTask `yaml:"icl_tasks"`
	}
	if err := yaml.Unmarshal(text, &list); err != nil {
		line, _, _ := strings.Cut(err.Error(), "\n")
		return nil, fmt.Errorf("open CORE: %s: %s", coreFile, line)
	}
	baselines, err := readBaselines(filepath.Join(folder, baselineFile))
	if err != nil {
		return nil, err
	}
	for i := range list.Tasks {
		if err := list.Tasks[i].check(baselines); err != nil {
			return nil, fmt.Errorf("open CORE: %s: task %d: %w", coreFile, i+1, err)
		}
	}
	if len(list.Tasks) == 0 {
		return nil, fmt.Errorf("open CORE: %s lists no icl_tasks", coreFile)
	}
	return &Bundle{folder, list.Tasks}, nil
}

func (t *coreTask) check(baselines map[string]float64) error {
	if t.Label == "" || t.Dataset == "" {
		return errors.New("it has no label or no dataset_uri")
	}
	if forms := []string{formChoice, formSchema, formLanguage}; !slices.Contains(forms, t.Form) {
		return fmt.Errorf("%s: icl_task_type %q is unknown; there are %s", t.Label, t.Form, strings.Join(forms, ", "))
	}
	if !filepath.IsLocal(filepath.FromSlash(t.Dataset)) {
		return fmt.Errorf("%s: dataset_uri %q leads out of %s", t.Label, t.Dataset, dataFolder)
	}
	if len(t.Shots) == 0 || t.Shots[0] < 0 || t.Shots[0] > 1000 {
		return fmt.Errorf("%s: num_fewshot is %v; it must be a list of one number, 0 to 1000", t.Label, t.Shots)
	}
	baseline, ok := baselines[t.Label]
	if !ok {
		return fmt.Errorf("%s: %s has no baseline for it", t.Label, baselineFile)
	}
	t.baseline = baseline
	return nil
}

// readBaselines reads what guessing gives in each task, in percent.
func readBaselines(path string) (map[string]float64, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("open CORE: %w", err)
	}
	defer file.Close()
	reader := csv.NewReader(file)
	reader.FieldsPerRecord = -1
	heading, err := reader.Read()
	if err != nil {
		return nil, fmt.Errorf("open CORE: %s: %w", baselineFile, err)
	}
	name, value := slices.Index(heading, "Eval Task"), slices.Index(heading, "Random baseline")
	if name < 0 || value < 0 {
		return nil, fmt.Errorf(`open CORE: %s has no columns "Eval Task" and "Random baseline"`, baselineFile)
	}
	baselines := map[string]float64{}
	for {
		record, err := reader.Read()
		if errors.Is(err, io.EOF) {
			return baselines, nil
		}
		if err != nil {
			return nil, fmt.Errorf("open CORE: %s: %w", baselineFile, err)
		}
		if len(record) <= max(name, value) {
			continue
		}
		percent, err := strconv.ParseFloat(strings.TrimSpace(record[value]), 64)
		if err != nil || !(percent >= 0 && percent < 100) {
			continue // a task of another suite without a baseline; CORE's own are checked
		}
		baselines[record[name]] = percent / 100
	}
}

// Tasks lists the labels.
func (b *Bundle) Tasks() []string {
	labels := make([]string, len(b.tasks))
	for i, task := range b.tasks {
		labels[i] = task.Label
	}
	return labels
}

// Run evaluates one task by its index in Tasks. The items are shuffled by seed 1337 and the first limit asked, 0 for all;
// a limit changes no item's prompt.
func (b *Bundle) Run(ctx context.Context, index int, scorer *Scorer, tok *tokenizer.Tokenizer, limit int, report func(done, all int)) (Result, error) {
	task := b.tasks[index]
	r := Result{Task: "core/" + task.Label, Metric: "accuracy", Baseline: &task.baseline, Suite: len(b.tasks)}
	rows := ReadRows(filepath.Join(b.folder, dataFolder, filepath.FromSlash(task.Dataset)), filepath.Base(task.Dataset))
	items, skipped, err := collect(rows, parseItem(task.Form))
	if err != nil {
		return r, fmt.Errorf("%s: %w", r.Task, err)
	}
	r.Skipped = skipped
	render := renderer{tok: tok, form: task.Form, delimiter: " ", items: items, shots: task.Shots[0]}
	if task.Delimiter != nil {
		render.delimiter = *task.Delimiter
	}
	if others := max(0, len(items)-1); render.shots > others {
		r.Note = fmt.Sprintf("%d examples shown instead of %d: there are no more", others, render.shots)
	}
	indices := make([]int, len(items))
	for i := range indices {
		indices[i] = i
	}
	indices = shuffled(indices, 1337, limit)
	return r, r.run(ctx, scorer, len(indices), func(i int) scored { return render.example(indices[i]) }, report)
}
