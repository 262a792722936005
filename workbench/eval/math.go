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

// parseMath reads a row of openai/gsm8k: question, answer.
func parseMath(row Row) (q MathQuestion, err error) {
	var solution string
	if err := row.get("question", &q.Question, "answer", &solution); err != nil {
		return q, err
	}
	if q.Question == "" {
		return q, row.bad("its question is empty")
	}
	gold, ok := number(solution)
	if !ok {
		return q, row.bad(`its answer has no "#### number"`)
	}
	q.ID, q.gold = row.Where, gold
	return q, nil
}

// parseGSM8K makes a problem of such a row.
func parseGSM8K(row Row) (problem, error) {
	q, err := parseMath(row)
	score := func(_ context.Context, answer string) (float64, error) { return whether(q.Right(answer)), nil }
	return problem{id: q.ID, question: q.Question, score: score}, err
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

// MathQuestion is a question whose answer can be checked.
type MathQuestion struct {
	// ID says where it stands.
	ID, Question string
	gold         *big.Rat
}

// Right says whether an answer ends in the right number, as "#### number".
func (q MathQuestion) Right(answer string) bool {
	given, ok := number(answer)
	return ok && given.Cmp(q.gold) == 0
}

// MathQuestions are those of rows as GSM8K has them: question, and answer, which ends in "#### number".
func MathQuestions(rows Rows) ([]MathQuestion, Skipped, error) { return collect(rows, parseMath) }
