package eval

import (
	"fmt"
	"math/rand/v2"
	"strings"

	"tandem/workbench/tokenizer"
)

// The forms of CORE's tasks (Li et al. 2024, DataComp-LM, arXiv:2406.11794).
const (
	formChoice   = "multiple_choice"
	formSchema   = "schema"
	formLanguage = "language_modeling"
)

// item is an example of a CORE task. A choice has a query and several answers, a schema several contexts and one
// continuation, language modelling one of each.
type item struct {
	id            string
	contexts      []string
	continuations []string
	gold          int
}

// parseItem returns the parser of a form's rows.
func parseItem(form string) func(Row) (item, error) {
	return func(row Row) (it item, err error) {
		it.id = row.Where
		var one string
		switch form {
		case formChoice:
			err = row.get("query", &one, "choices", &it.continuations, "gold", &it.gold)
			it.contexts = []string{one}
		case formSchema:
			err = row.get("context_options", &it.contexts, "continuation", &one, "gold", &it.gold)
			it.continuations = []string{one}
		default:
			err = row.get("context", &one)
			it.contexts = []string{strings.TrimSpace(one)}
			if err == nil {
				err = row.Get("continuation", &one)
			}
			it.continuations = []string{one}
		}
		if options := max(len(it.contexts), len(it.continuations)); err == nil && (min(len(it.contexts), len(it.continuations)) == 0 || it.gold < 0 || it.gold >= options) {
			err = row.bad("gold is %d of %d options", it.gold, options)
		}
		return it, err
	}
}

// option gives context and continuation of an option.
func (it item) option(i int) (context, continuation string) {
	return it.contexts[min(i, len(it.contexts)-1)], it.continuations[min(i, len(it.continuations)-1)]
}

func (it item) options() int { return max(len(it.contexts), len(it.continuations)) }

// shots draws the examples that an item is shown, without itself, by a generator of seed 1234 + its index among all items of
// the task. The rule is nanochat's, the generator Go's PCG where that is Python's: the examples differ from nanochat's.
func shots(items []item, index, count int) []item {
	random := rand.New(rand.NewPCG(1234+uint64(index), 0))
	var chosen []item
	for _, at := range random.Perm(len(items)) {
		if len(chosen) < count && at != index {
			chosen = append(chosen, items[at])
		}
	}
	return chosen
}

// renderer turns items into queries.
type renderer struct {
	tok       *tokenizer.Tokenizer
	form      string
	delimiter string
	items     []item
	shots     int
}

// example renders an item: the shots, each with its right answer and an empty line after it, then the item. BOS begins it.
//
//   - multiple choice: each choice is scored from where the prompts first differ;
//   - schema: the end that all prompts share is scored after each context;
//   - language modelling: the continuation must be what the model would say.
func (r renderer) example(index int) scored {
	var head strings.Builder
	for _, shot := range shots(r.items, index, r.shots) {
		context, continuation := shot.option(shot.gold)
		head.WriteString(context + r.delimiter + continuation + "\n\n")
	}
	it := r.items[index]
	prompts := make([][]int32, it.options())
	for i := range prompts {
		context, continuation := it.option(i)
		prompts[i] = r.encode(head.String() + context + r.delimiter + continuation)
	}
	e := scored{id: it.id, judge: func(scores []Score) bool { return likeliest(scores) == it.gold }}
	switch r.form {
	case formChoice:
		e.queries = afterPrefix(prompts)
	case formSchema:
		e.queries = sharedSuffix(prompts)
	default:
		before := r.encode(strings.TrimRight(head.String()+it.contexts[0]+r.delimiter, " \t\n"))
		if len(before) >= len(prompts[0]) || commonPrefix([][]int32{before, prompts[0]}) < len(before) {
			e.problem = "its context's tokens are not the beginning of those with the continuation"
			return e
		}
		e.queries = []Query{{prompts[0][:len(before)], prompts[0][len(before):]}}
		e.judge = func(scores []Score) bool { return scores[0].Greedy }
	}
	for _, query := range e.queries {
		if len(query.Continuation) == 0 {
			e.problem = fmt.Sprintf("its %d prompts leave nothing to score", len(prompts))
		}
	}
	return e
}

func (r renderer) encode(text string) []int32 {
	return r.tok.AppendEncode([]int32{r.tok.BOS()}, text)
}

// commonPrefix is the number of tokens that all begin with.
func commonPrefix(all [][]int32) int {
	for at := 0; ; at++ {
		for _, tokens := range all {
			if at == len(tokens) || tokens[at] != all[0][at] {
				return at
			}
		}
	}
}

// afterPrefix asks for what follows the tokens that all prompts begin with. Where one prompt is the beginning of another,
// its last token is asked for.
func afterPrefix(prompts [][]int32) []Query {
	start := commonPrefix(prompts)
	for _, tokens := range prompts {
		start = min(start, len(tokens)-1)
	}
	queries := make([]Query, len(prompts))
	for i, tokens := range prompts {
		queries[i] = Query{prompts[0][:start], tokens[start:]}
	}
	return queries
}

// sharedSuffix asks for the tokens that all prompts end with, all but the first of a prompt at most.
func sharedSuffix(prompts [][]int32) []Query {
	shared := 0
	for same := true; same; shared++ {
		for _, tokens := range prompts {
			last := prompts[0][max(0, len(prompts[0])-1-shared)]
			if len(tokens)-1-shared < 1 || tokens[len(tokens)-1-shared] != last {
				same = false
			}
		}
	}
	shared-- // the loop counts one too many
	queries := make([]Query, len(prompts))
	for i, tokens := range prompts {
		cut := len(tokens) - shared
		queries[i] = Query{tokens[:cut], tokens[cut:]}
	}
	return queries
}
