package eval

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"tandem/workbench/chat"
)

// A question with lettered choices, asked in a conversation. The answer is the letter that the model finds likeliest first.
type question struct {
	id      string
	text    string
	choices []string
	letters []string
	gold    int
}

// ARC and MMLU are tasks of lettered choices.
const (
	ARCEasy      = "arc-easy"
	ARCChallenge = "arc-challenge"
	MMLU         = "mmlu"
)

// parseARC reads a row of allenai/ai2_arc: question, choices {text, label}, answerKey.
func parseARC(row Row) (q question, err error) {
	var choices struct{ Text, Label []string }
	var key string
	if err := row.get("question", &q.text, "choices", &choices, "answerKey", &key); err != nil {
		return q, err
	}
	q.id, q.choices, q.letters = row.Where, choices.Text, choices.Label
	q.gold = slices.Index(choices.Label, key)
	if len(choices.Text) != len(choices.Label) || len(choices.Text) < 2 {
		return q, row.bad("it has %d choices with %d labels", len(choices.Text), len(choices.Label))
	}
	if q.gold < 0 {
		return q, row.bad("answerKey %q is none of its labels %s", key, strings.Join(choices.Label, " "))
	}
	return q, nil
}

// parseMMLU reads a row of cais/mmlu: question, choices, answer (from 0).
func parseMMLU(row Row) (q question, err error) {
	if err := row.get("question", &q.text, "choices", &q.choices, "answer", &q.gold); err != nil {
		return q, err
	}
	q.id = row.Where
	if len(q.choices) < 2 || len(q.choices) > 26 || q.gold < 0 || q.gold >= len(q.choices) {
		return q, row.bad("answer is %d of %d choices", q.gold, len(q.choices))
	}
	for i := range q.choices {
		q.letters = append(q.letters, string(rune('A'+i)))
	}
	return q, nil
}

// render writes the question. A letter stands right after "=", so that it is the same token as in the answer.
func (q question) render() string {
	var text strings.Builder
	text.WriteString("Multiple choice question: " + q.text + "\n")
	for i, choice := range q.choices {
		fmt.Fprintf(&text, "- %s=%s\n", choice, q.letters[i])
	}
	text.WriteString("\nAnswer with the letter only.")
	return text.String()
}

// RunChoices evaluates a task of lettered choices: rows shuffled by seed 42, of which the first limit are asked (0 is all).
func RunChoices(ctx context.Context, task string, rows Rows, scorer *Scorer, template *chat.Template, limit int, report func(done, all int)) (Result, error) {
	parse := parseARC
	if task == MMLU {
		parse = parseMMLU
	}
	baseline := 0.25
	r := Result{Task: task, Metric: "accuracy", Baseline: &baseline}
	questions, skipped, err := collect(rows, parse)
	if err != nil {
		return r, fmt.Errorf("%s: %w", task, err)
	}
	r.Skipped = skipped
	questions = shuffled(questions, 42, limit)
	return r, r.run(ctx, scorer, len(questions), func(i int) scored { return questions[i].example(template) }, report)
}

func (q question) example(template *chat.Template) scored {
	e := scored{id: q.id, judge: func(scores []Score) bool { return likeliest(scores) == q.gold }}
	prompt, err := template.Prompt(chat.Conversation{}.With(chat.User, q.render()))
	if err != nil {
		e.problem = err.Error()
		return e
	}
	for _, letter := range q.letters {
		ids := template.Tokenizer().Encode(letter)
		if len(ids) != 1 {
			e.problem = fmt.Sprintf("its label %q is %d tokens; it must be one", letter, len(ids))
			return e
		}
		e.queries = append(e.queries, Query{prompt, ids})
	}
	return e
}
