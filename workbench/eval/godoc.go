package eval

import (
	"context"
	"fmt"
	"strings"

	"tandem/workbench/data"
)

// GoDoc is a task of questions about Go's documentation, whose answers stand in it.
const GoDoc = "godoc"

// RunGoDoc asks questions, shuffled by seed 42, of which the first limit are asked (0 is all). The value is the mean TokenF1 with
// the documentation; how many answers begin with the documentation's first sentence, to the letter, is in the note.
func RunGoDoc(ctx context.Context, task string, questions []data.Question, answer Answerer, o AnswerOptions, limit int, report func(done, all int)) (Result, error) {
	r := Result{Task: task, Metric: "token F1"}
	gold := map[string]string{}
	var problems []problem
	for _, q := range questions {
		gold[q.Question] = q.Answer
		problems = append(problems, problem{id: q.Question, question: q.Question, score: func(_ context.Context, answer string) (float64, error) {
			return TokenF1(answer, q.Answer), nil
		}})
	}
	if err := r.answerAll(ctx, shuffled(problems, 42, limit), answer, o, report); err != nil {
		return r, err
	}
	exact := 0
	for _, outcome := range r.Outcomes {
		if strings.HasPrefix(oneLine(outcome.Answer), firstSentence(gold[outcome.ID])) {
			exact++
		}
	}
	r.Note = fmt.Sprintf("%d of %d answers begin with the documentation's first sentence, to the letter", exact, r.Examples)
	return r, nil
}

// TokenF1 is the harmonic mean of precision and recall of an answer's words, counted as often as they occur, as SQuAD's F1
// (arXiv:1606.05250); but case and punctuation count, for they do in Go.
func TokenF1(answer, gold string) float64 {
	given, wanted := strings.Fields(answer), strings.Fields(gold)
	if len(given) == 0 || len(wanted) == 0 {
		return 0
	}
	left := map[string]int{}
	for _, word := range wanted {
		left[word]++
	}
	common := 0
	for _, word := range given {
		if left[word] > 0 {
			left[word]--
			common++
		}
	}
	return 2 * float64(common) / float64(len(given)+len(wanted))
}

func oneLine(text string) string { return strings.Join(strings.Fields(text), " ") }

// firstSentence ends at the first full stop that a space follows.
func firstSentence(text string) string {
	text = oneLine(text)
	if at := strings.Index(text, ". "); at >= 0 {
		return text[:at+1]
	}
	return text
}
