package eval

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"time"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"tandem/models"
	"tandem/workbench/data"
	"tandem/xla"
)

// BitsOptions say what bits per byte are measured on.
type BitsOptions struct {
	Task string
	// Batches gives batches until io.EOF.
	Batches *data.Batches
	// Limit is the number of batches at most; 0 is all that there are.
	Limit int
	// ByteLengths is the number of bytes of each token; those with none, such as special tokens, count neither as nats nor
	// as bytes.
	ByteLengths []int32
	Report      func(done, all int)
}

// RunBits measures bits per byte: Σ nats / (ln 2 · Σ bytes) over the targets that stand for bytes. An outcome is a row of
// a batch.
func RunBits(ctx context.Context, device *xla.Device, model *models.Model, weights []*tensors.Tensor, o BitsOptions) (Result, error) {
	r := Result{Task: o.Task, Metric: "bits per byte"}
	started := time.Now()
	var program *xla.Program
	for number := 0; o.Limit == 0 || number < o.Limit; number++ {
		if err := ctx.Err(); err != nil {
			return r, err
		}
		batch, err := o.Batches.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return r, err
		}
		if program == nil {
			if program, err = bitsProgram(device, model, batch.Batch, batch.Time); err != nil {
				return r, err
			}
			defer program.Close()
		}
		if err := r.addBits(program, weights, batch, o.ByteLengths, number); err != nil {
			return r, err
		}
		if o.Report != nil {
			o.Report(number+1, o.Limit)
		}
	}
	r.Seconds = time.Since(started).Seconds()
	return r, r.finish(1)
}

func bitsProgram(device *xla.Device, model *models.Model, rows, time int) (*xla.Program, error) {
	var inputs []xla.Input
	for _, weight := range model.Weights() {
		inputs = append(inputs, xla.Input{Name: weight.Name, Shape: shapes.Make(weight.DType, weight.Shape...)})
	}
	for _, name := range []string{"tokens", "targets", "documents"} {
		inputs = append(inputs, xla.Input{Name: name, Shape: shapes.Make(dtypes.Int32, rows, time)})
	}
	return xla.Compile(device, "bits", inputs, func(_ *Graph, nodes []*Node) []*Node {
		batch := nodes[len(nodes)-3:]
		return []*Node{model.Losses(device.Compute, nodes[:len(nodes)-3], batch[0], batch[1], batch[2])}
	})
}

func (r *Result) addBits(program *xla.Program, weights []*tensors.Tensor, batch *data.Batch, byteLengths []int32, number int) error {
	var small []*tensors.Tensor
	for _, values := range [][]int32{batch.Inputs, batch.Targets, batch.Documents} {
		small = append(small, tensors.FromFlatDataAndDimensions(values, batch.Batch, batch.Time))
	}
	defer free(small)
	outputs, err := program.Run(append(append([]*tensors.Tensor{}, weights...), small...)...)
	if err != nil {
		return err
	}
	defer free(outputs)
	nats, err := tensors.CopyFlatData[float32](outputs[0])
	if err != nil {
		return fmt.Errorf("bits per byte: read losses: %w", err)
	}
	for row := range batch.Batch {
		outcome := Outcome{ID: fmt.Sprintf("row %d", number*batch.Batch+row)}
		for at := row * batch.Time; at < (row+1)*batch.Time; at++ {
			if target := batch.Targets[at]; target >= 0 && byteLengths[target] > 0 {
				outcome.Value += float64(nats[at]) / math.Ln2
				outcome.Weight += float64(byteLengths[target])
			}
		}
		if outcome.Weight > 0 {
			r.Outcomes = append(r.Outcomes, outcome)
		}
	}
	return nil
}
