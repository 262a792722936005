package runlog_test

import (
	"fmt"
	"os"
	"path/filepath"

	"tandem/workbench/runlog"
)

// A run writes a line a step; after a crash it resumes from its checkpoint, and the steps it takes again replace
// those it had taken before.
func Example() {
	dir, _ := os.MkdirTemp("", "run")
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, runlog.MetricsFile)
	train := func(records ...runlog.Record) {
		w, _, err := runlog.Open(path)
		if err != nil {
			fmt.Println(err)
			return
		}
		defer w.Close()
		for _, r := range records {
			w.Write(r)
		}
	}
	step := func(n int, loss float64) runlog.Record {
		return runlog.Record{Kind: runlog.KindStep, Step: n, Values: map[string]float64{runlog.Loss: loss, runlog.Tokens: 512}}
	}
	train(step(1, 9.5), step(2, 8.5), step(3, 99))
	train(runlog.Record{Kind: runlog.KindResume, Step: 2}, step(3, 7.5))

	records, bad, err := runlog.Read(path)
	s := runlog.Summarize(records)
	fmt.Println(len(records), "records,", len(bad), "bad,", err)
	fmt.Println(s.Steps, "steps,", s.Tokens, "tokens, loss", s.LastLoss)
	// Output:
	// 4 records, 0 bad, <nil>
	// 3 steps, 1536 tokens, loss 7.5
}
