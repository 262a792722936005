package lab

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"math/rand/v2"

	"tandem/workbench/chat"
	"tandem/workbench/data"
	"tandem/workbench/eval"
)

// ArithmeticSpec names the questions that need no file.
const ArithmeticSpec = "arithmetic"

// RLQuestion is a question whose answers can be rewarded.
type RLQuestion struct {
	// ID says where it stands, in errors.
	ID, Question string
	// Reward is an answer's, by its text; 1 and more is right. It is called concurrently.
	Reward func(answer string) float64
}

// rlQuestions are those of one training, in the order of their source.
type rlQuestions struct {
	spec        string
	train, held []RLQuestion
	skipped     eval.Skipped
	// longest is the tokens of the longest prompt.
	longest int
	// content identifies them.
	content string
}

// String tells the counts in one line.
func (q *rlQuestions) String() string {
	line := fmt.Sprintf("questions %s: %d to learn, %d held out", q.spec, len(q.train), len(q.held))
	if q.skipped.Count > 0 {
		line += fmt.Sprintf("; skipped %d: %s", q.skipped.Count, q.skipped.Reasons[0])
	}
	return line
}

// readQuestions reads those of the data, or takes what the caller gave, and leaves out what does not fit the context.
func (r *reinforcement) readQuestions(ctx context.Context) (*rlQuestions, error) {
	q := &rlQuestions{spec: r.config.Data}
	all, held := r.options.Questions, r.options.Held
	apart := held != nil // those held out are none of all
	if all != nil {
		q.spec = "the caller"
	} else {
		var err error
		if all, err = r.questionsOf(ctx, r.config.Data, &q.skipped); err != nil {
			return nil, err
		}
		if r.settings.Held != "" {
			apart = true
			if held, err = r.questionsOf(ctx, r.settings.Held, &q.skipped); err != nil {
				return nil, err
			}
		}
	}
	for _, question := range all {
		into := &q.train
		if !apart && data.SplitOf(question.Question) == data.Validation {
			into = &q.held
		}
		r.admit(question, into, q)
	}
	for _, question := range held {
		r.admit(question, &q.held, q)
	}
	if len(q.train) == 0 {
		reason := "it has none"
		if q.skipped.Count > 0 {
			reason = q.skipped.Reasons[0]
		}
		return nil, fmt.Errorf("questions %s: none of %d is left to learn from: %s", q.spec, len(all), reason)
	}
	if apart && r.options.Held == nil && len(q.held) == 0 {
		return nil, fmt.Errorf("questions held out %s: none of %d can be asked; give others, whose answers end in \"#### number\" and that leave room for max_tokens %d in the context, %d",
			r.settings.Held, len(held), r.settings.MaxTokens, r.model.Config.Context)
	}
	content := sha256.New()
	for _, question := range append(q.train[:len(q.train):len(q.train)], q.held...) {
		fmt.Fprintf(content, "%q\n", question.Question)
	}
	q.content = hex.EncodeToString(content.Sum(nil))
	random := rand.New(rand.NewPCG(r.config.Train.Seed, heldStream))
	random.Shuffle(len(q.held), func(i, j int) { q.held[i], q.held[j] = q.held[j], q.held[i] })
	q.held = q.held[:min(len(q.held), r.settings.HeldQuestions)]
	return q, nil
}

// admit takes up a question that leaves room for an answer.
func (r *reinforcement) admit(question RLQuestion, into *[]RLQuestion, q *rlQuestions) {
	prompt, err := r.template.Prompt(chat.Conversation{}.With(chat.User, question.Question))
	if room := r.model.Config.Context; err == nil && len(prompt)+r.settings.MaxTokens > room {
		err = fmt.Errorf("it has %d tokens, which with max_tokens %d is more than the context, %d; lower max_tokens", len(prompt), r.settings.MaxTokens, room)
	}
	if err != nil {
		if q.skipped.Count++; len(q.skipped.Reasons) == 0 {
			q.skipped.Reasons = []string{fmt.Sprintf("%s: %v", question.ID, err)}
		}
		return
	}
	*into = append(*into, question)
	q.longest = max(q.longest, len(prompt))
}

// checkSample refuses a question for samples that there is no room for.
func (r *reinforcement) checkSample() error {
	if r.config.Sample.Prompt == "" { // stands for one of the questions
		return nil
	}
	prompt, err := r.template.Prompt(chat.Conversation{}.With(chat.User, r.config.Sample.Prompt))
	if err != nil {
		return fmt.Errorf("sample_prompt: %w", err)
	}
	if room := r.capacity(); len(prompt) > room {
		return fmt.Errorf("sample_prompt has %d tokens and a row of these questions and answers %d; shorten it", len(prompt), room)
	}
	return nil
}

// questionsOf reads rows as GSM8K has them, or makes those of arithmetic. The reward is 1 for the right number, else 0.
func (r *reinforcement) questionsOf(ctx context.Context, spec string, skipped *eval.Skipped) (all []RLQuestion, err error) {
	rows := eval.ArithmeticRows()
	if spec != ArithmeticSpec {
		rows = eval.NumberedRows(spec, data.Rows(ctx, spec, data.Options{Say: r.options.Say, Progress: downloads(r.options.Say)}))
	}
	found, left, err := eval.MathQuestions(rows)
	if err != nil {
		return nil, fmt.Errorf("read questions: %w", err)
	}
	skipped.Count += left.Count
	skipped.Reasons = append(skipped.Reasons, left.Reasons...)
	for _, q := range found {
		all = append(all, RLQuestion{ID: q.ID, Question: q.Question, Reward: func(answer string) float64 {
			if q.Right(answer) {
				return 1
			}
			return 0
		}})
	}
	return all, nil
}

// Streams of the run's seed beside those of rounds, which are their numbers.
const (
	orderStream = 1 << 62
	heldStream  = 1 << 61
)

// ask lists the questions of a round: each is asked once before any is asked again, in another order each time.
func (r *reinforcement) ask(round int) []RLQuestion {
	all := r.questions.train
	asked := make([]RLQuestion, r.settings.Questions)
	var order []int
	drawn := -1
	for i := range asked {
		at := round*len(asked) + i
		if pass := at / len(all); pass != drawn {
			drawn = pass
			order = rand.New(rand.NewPCG(r.config.Train.Seed, orderStream+uint64(pass))).Perm(len(all))
		}
		asked[i] = all[order[at%len(all)]]
	}
	return asked
}
