package train

import (
	"time"

	"github.com/gomlx/gomlx/core/tensors"
)

// ReadMetrics has a step's metrics come after so long, as from a device that is still at work, or not but with an error, until
// restore.
func ReadMetrics(after time.Duration, err error) (restore func()) {
	before := readMetrics
	readMetrics = func(metrics *tensors.Tensor) ([]float32, error) {
		time.Sleep(after)
		if err != nil {
			return nil, err
		}
		return before(metrics)
	}
	return func() { readMetrics = before }
}
