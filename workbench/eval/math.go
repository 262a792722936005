package eval

import (
	"context"
	"fmt"
	"math/big"
	"regexp"
	"strings"
)

// GSM8K is a task of school mathematics, answered in words that end in "#### number".
const GSM8K = "gsm8k"

var marked = regexp.MustCompile(`####\s*\$?(-?[0-9][0-9,]*(?:\.[0-9]+)?)`)

// number finds the number that a solution ends in.
func number(solution string) (*big.Rat, bool) {
	found := marked.FindStringSubmatch(solution)
	if found == nil {
		return nil, false
	}
	return new(big.Rat).SetString(strings.ReplaceAll(found[1], ",", ""))
}

// parseGSM8K reads a row of openai/gsm8k: question, answer.
func parseGSM8K(row Row) (p problem, err error) {
	var solution string
	if err := row.get("question", &p.question, "answer", &solution); err != nil {
		return p, err
	}
	gold, ok := number(solution)
	if !ok {
		return p, row.bad(`its answer has no "#### number"`)
	}
	p.id = row.Where
	p.check = func(_ context.Context, answer string) (bool, error) {
		given, ok := number(answer)
		return ok && given.Cmp(gold) == 0, nil
	}
	return p, nil
}

// RunGSM8K evaluates GSM8K: rows shuffled by seed 42, of which the first limit are asked (0 is all). 10 and 10.0 are equal.
func RunGSM8K(ctx context.Context, rows Rows, answer Answerer, o AnswerOptions, limit int, report func(done, all int)) (Result, error) {
	r := Result{Task: GSM8K, Metric: "pass@1", Baseline: new(float64)}
	problems, skipped, err := collect(rows, parseGSM8K)
	if err != nil {
		return r, fmt.Errorf("%s: %w", r.Task, err)
	}
	r.Skipped = skipped
	return r, r.answerAll(ctx, shuffled(problems, 42, limit), answer, o, report)
}
