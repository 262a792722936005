package eval

import (
	"context"
	"math/rand/v2"
	"runtime"
	"sync"
	"time"
)

// scored is an example that is judged by the scores of its queries.
type scored struct {
	id      string
	queries []Query
	judge   func([]Score) bool
	// problem is why it cannot be asked; "" if it can.
	problem string
}

// examplesAtOnce bounds what is held as tokens.
const examplesAtOnce = 4096

// likeliest is the index of the score with the highest mean log-probability; of equals the first.
func likeliest(scores []Score) int {
	best := 0
	for i := range scores {
		if scores[i].Mean() > scores[best].Mean() {
			best = i
		}
	}
	return best
}

// run asks count examples, which prepare makes tokens of, concurrently, and adds their outcomes to the result. report is
// told how many are done.
func (r *Result) run(ctx context.Context, scorer *Scorer, count int, prepare func(i int) scored, report func(done, all int)) error {
	started := time.Now()
	for from := 0; from < count; from += examplesAtOnce {
		examples := parallel(min(examplesAtOnce, count-from), func(i int) scored { return prepare(from + i) })
		var queries []Query
		for i := range examples {
			e := &examples[i]
			for _, query := range e.queries {
				if _, _, err := scorer.fit(query); err != nil {
					e.problem = err.Error()
				}
			}
			if e.problem != "" {
				r.Skipped.add(e.id + ": " + e.problem)
				e.queries = nil
			}
			queries = append(queries, e.queries...)
		}
		told := scorer.options.Report
		if report != nil {
			scorer.options.Report = func(done, all int) { report(from+len(examples)*done/all, count) }
		}
		scores, err := scorer.Score(ctx, queries)
		scorer.options.Report = told
		if err != nil {
			return err
		}
		for _, e := range examples {
			own := scores[:len(e.queries)]
			scores = scores[len(own):]
			if len(own) > 0 {
				r.judged(e, own)
			}
		}
	}
	r.Seconds = time.Since(started).Seconds()
	return r.finish(1)
}

func (r *Result) judged(e scored, scores []Score) {
	outcome := Outcome{ID: e.id, Weight: 1}
	if e.judge(scores) {
		outcome.Value = 1
	}
	r.Outcomes = append(r.Outcomes, outcome)
	for _, score := range scores {
		if score.Cut > 0 {
			r.Shortened++
			break
		}
	}
}

// parallel fills a slice from all processors.
func parallel[T any](count int, make1 func(i int) T) []T {
	all := make([]T, count)
	var group sync.WaitGroup
	workers := runtime.GOMAXPROCS(0)
	for worker := range workers {
		group.Go(func() {
			for i := worker; i < count; i += workers {
				all[i] = make1(i)
			}
		})
	}
	group.Wait()
	return all
}

// shuffled puts items in an order that depends on the seed alone, and keeps the first limit of them; 0 keeps all. The
// generator is Go's PCG: the order is not that of other programs with the same seed.
func shuffled[T any](items []T, seed uint64, limit int) []T {
	order := rand.New(rand.NewPCG(seed, 0)).Perm(len(items))
	if limit > 0 && limit < len(order) {
		order = order[:limit]
	}
	chosen := make([]T, len(order))
	for i, at := range order {
		chosen[i] = items[at]
	}
	return chosen
}
