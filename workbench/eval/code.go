package eval

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"regexp"
	"strings"

	"tandem/workbench/eval/sandbox"
)

// HumanEval is a task of programming, answered in Python that is run against tests.
const HumanEval = "humaneval"

// Runner runs a Python program, and returns what became of it.
type Runner func(ctx context.Context, program string) (sandbox.Result, error)

// ErrCodeOff is the error of tasks that run generated code where that was not asked for.
var ErrCodeOff = errors.New("it runs code that the model writes, and that is off; turn it on with: workbench eval --run-code")

var (
	fenced   = regexp.MustCompile("(?s)```[a-zA-Z0-9]*\n(.*?)(?:```|$)")
	imported = regexp.MustCompile(`(?m)^(?:import|from)\s.*$`)
)

// codeIn takes the program out of an answer: its first code block, else all of it. If that does not define the function, it
// is taken as the body that follows the prompt.
func codeIn(answer, prompt, function string) string {
	code := answer
	if found := fenced.FindStringSubmatch(answer); found != nil {
		code = found[1]
	}
	if !strings.Contains(code, "def "+function+"(") {
		return prompt + code
	}
	return strings.Join(imported.FindAllString(prompt, -1), "\n") + "\n" + code
}

// parseHumanEval returns the parser of rows of openai/openai_humaneval: task_id, prompt, entry_point, test.
func parseHumanEval(run Runner) func(Row) (problem, error) {
	return func(row Row) (p problem, err error) {
		var function, tests string
		if err := row.get("task_id", &p.id, "prompt", &p.question, "entry_point", &function, "test", &tests); err != nil {
			return p, err
		}
		if p.question == "" {
			return p, row.bad("its prompt is empty")
		}
		prompt := p.question
		p.score = func(ctx context.Context, answer string) (float64, error) {
			// Only what has run to its end knows the word: a program that exits early does not pass.
			word := rand.Text()
			program := fmt.Sprintf("%s\n%s\ncheck(%s)\nprint(%q)\n", codeIn(answer, prompt, function), tests, function, "\n"+word)
			result, err := run(ctx, program)
			return whether(err == nil && result.Exit == 0 && strings.HasSuffix(result.Stdout, "\n"+word+"\n")), err
		}
		return p, nil
	}
}

// RunHumanEval evaluates HumanEval: rows shuffled by seed 42, of which the first limit are asked (0 is all). The question
// is the prompt as it stands.
func RunHumanEval(ctx context.Context, rows Rows, answer Answerer, run Runner, o AnswerOptions, limit int, report func(done, all int)) (Result, error) {
	r := Result{Task: HumanEval, Metric: "pass@1", Baseline: new(float64)}
	if run == nil {
		return r, fmt.Errorf("%s: %w", r.Task, ErrCodeOff)
	}
	problems, skipped, err := collect(rows, parseHumanEval(run))
	if err != nil {
		return r, fmt.Errorf("%s: %w", r.Task, err)
	}
	r.Skipped = skipped
	return r, r.answerAll(ctx, shuffled(problems, 42, limit), answer, o, report)
}
