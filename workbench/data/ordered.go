package data

import (
	"iter"
	"runtime"
	"sync"
)

// ordered applies f to the items of in on every core and yields the results in
// the order of the items. It holds a few items a core at a time. An error of in
// or f ends the stream.
func ordered[Item, Result any](in iter.Seq2[Item, error], f func(Item) (Result, error)) iter.Seq2[Result, error] {
	type outcome struct {
		result Result
		err    error
	}
	type job struct {
		item Item
		done chan outcome // one slot, so that a worker never waits for the reader of results
	}
	return func(yield func(Result, error) bool) {
		workers := runtime.GOMAXPROCS(0)
		jobs := make(chan job, workers)
		line := make(chan chan outcome, 4*workers) // in the order of the items
		stop := make(chan struct{})
		var running sync.WaitGroup
		defer running.Wait() // nobody reads the corpus after this returns
		defer close(stop)

		running.Go(func() {
			defer close(line)
			defer close(jobs)
			for item, err := range in {
				done := make(chan outcome, 1)
				select {
				case line <- done:
				case <-stop:
					return
				}
				if err != nil {
					done <- outcome{err: err}
					return
				}
				select {
				case jobs <- job{item, done}:
				case <-stop:
					return
				}
			}
		})
		for range workers {
			running.Go(func() {
				for j := range jobs {
					result, err := f(j.item)
					j.done <- outcome{result, err}
				}
			})
		}
		for done := range line {
			o := <-done
			if !yield(o.result, o.err) || o.err != nil {
				return
			}
		}
	}
}
