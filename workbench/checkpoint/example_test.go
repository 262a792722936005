package checkpoint_test

import (
	"fmt"
	"os"
	"path/filepath"

	"tandem/workbench/checkpoint"
)

// A run saves as it trains; whoever resumes it takes the newest checkpoint that is whole.
func Example() {
	run, _ := os.MkdirTemp("", "run")
	defer os.RemoveAll(run)
	weight := checkpoint.Tensor{Name: "head", DType: "F32", Shape: []int{1}, Data: []byte{0, 0, 128, 63}}
	for _, step := range []int{100, 200} {
		_, err := checkpoint.Save(run, checkpoint.Snapshot{
			Step:  step,
			Model: []checkpoint.Tensor{weight},
			State: []byte(fmt.Sprintf(`{"step":%d}`, step)),
		})
		if err != nil {
			fmt.Println(err)
		}
	}
	os.Truncate(filepath.Join(run, "step-000200", "model.safetensors"), 10)

	snapshot, entry, skipped, err := checkpoint.Latest(run)
	fmt.Println(entry.Step, string(snapshot.State), snapshot.Model[0].Data, err)
	fmt.Println("skipped", skipped[0])
	// Output:
	// 100 {"step":100} [0 0 128 63] <nil>
	// skipped step-000200 (model.safetensors is truncated: it has 10 of 76 bytes)
}
