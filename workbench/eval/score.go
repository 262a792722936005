package eval

import (
	"context"
	"errors"
	"fmt"
	"math"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"tandem/models"
	"tandem/xla"
)

// Query asks how likely a continuation is after a context. Neither may be empty.
type Query struct {
	Context, Continuation []int32
}

// Score is the answer to a Query.
type Score struct {
	// LogProbs are the log-probabilities of the continuation's tokens, in nats, each after those before it.
	LogProbs []float64
	// Greedy is true if each of these tokens is the likeliest one at its place.
	Greedy bool
	// Cut is how many tokens of the context were dropped at its start, after the first, for want of room.
	Cut int
}

// Sum is the log-probability of the whole continuation.
func (s Score) Sum() (sum float64) {
	for _, value := range s.LogProbs {
		sum += value
	}
	return sum
}

// Mean is Sum over the number of tokens.
func (s Score) Mean() float64 { return s.Sum() / float64(len(s.LogProbs)) }

// Scorer scores continuations with one model. It is for one goroutine.
type Scorer struct {
	device   *xla.Device
	model    *models.Model
	weights  []*tensors.Tensor
	options  ScorerOptions
	programs map[shape]*xla.Program
}

// ScorerOptions size the batches. Zero values mean the default.
type ScorerOptions struct {
	// Tokens of a batch, padding included; 0 is 16384 on CUDA, 4096 for XLA on the host, and on the Go backend 1024: what more
	// rows gain there, they lose in the processor's caches.
	Tokens int
	// Alone scores each Query by itself, the slow way: what the batches are compared with.
	Alone bool
	// Report is told how many of the queries are done after each batch; nil is nobody.
	Report func(done, all int)
}

// NewScorer makes a scorer over weights in the order of model.Weights(). They stay the caller's.
func NewScorer(device *xla.Device, model *models.Model, weights []*tensors.Tensor, options ScorerOptions) *Scorer {
	if options.Tokens == 0 {
		options.Tokens = map[string]int{"cuda": 16384, "go": 1024}[device.Kind]
	}
	if options.Tokens == 0 {
		options.Tokens = 4096
	}
	return &Scorer{device: device, model: model, weights: weights, options: options, programs: map[shape]*xla.Program{}}
}

// Context is the tokens that context and continuation may have together, and one more: the last one is only asked for.
func (s *Scorer) Context() int { return s.model.Config.Context }

// Close frees the compiled programs.
func (s *Scorer) Close() {
	for _, program := range s.programs {
		program.Close()
	}
}

// Score answers queries, in their order. Equal contexts are run once, rows of like length together, padded to one of a few
// shapes; none of this changes an answer beyond rounding. A context that is too long loses tokens after its first one; a
// continuation that leaves no room for any is an error.
func (s *Scorer) Score(ctx context.Context, queries []Query) ([]Score, error) {
	scores := make([]Score, len(queries))
	fitted := make([]Query, len(queries))
	for i, query := range queries {
		var err error
		if fitted[i], scores[i].Cut, err = s.fit(query); err != nil {
			return nil, fmt.Errorf("score: query %d: %w", i, err)
		}
		scores[i].LogProbs, scores[i].Greedy = make([]float64, len(query.Continuation)), true
	}
	done := 0
	for _, batch := range s.plan(fitted) {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if err := s.run(batch, scores); err != nil {
			return nil, err
		}
		if done += batch.queries; s.options.Report != nil {
			s.options.Report(done, len(queries))
		}
	}
	return scores, nil
}

// fit drops what the model's context has no room for.
func (s *Scorer) fit(q Query) (Query, int, error) {
	if len(q.Context) == 0 || len(q.Continuation) == 0 {
		return q, 0, fmt.Errorf("context and continuation have %d and %d tokens; neither may be empty", len(q.Context), len(q.Continuation))
	}
	excess := len(q.Context) + len(q.Continuation) - 1 - s.Context()
	if excess <= 0 {
		return q, 0, nil
	}
	if excess >= len(q.Context) {
		return q, 0, fmt.Errorf("its continuation has %d tokens and the model's context is %d; train with a longer context", len(q.Continuation), s.Context())
	}
	kept := append([]int32{q.Context[0]}, q.Context[1+excess:]...)
	return Query{kept, q.Continuation}, excess, nil
}

// shape is that of a program: rows [rows,time] asked at so many places, after beginnings [before,beginning] if there are any.
type shape struct{ rows, time, places, before, beginning int }

// compiled is the program of a shape, compiled when it is first needed.
func (s *Scorer) compiled(sh shape) (*xla.Program, error) {
	if program, ok := s.programs[sh]; ok {
		return program, nil
	}
	integers := func(name string, dims ...int) xla.Input {
		return xla.Input{Name: name, Shape: shapes.Make(dtypes.Int32, dims...)}
	}
	var inputs []xla.Input
	for _, weight := range s.model.Weights() {
		inputs = append(inputs, xla.Input{Name: weight.Name, Shape: shapes.Make(weight.DType, weight.Shape...)})
	}
	count := len(inputs)
	if sh.before > 0 {
		inputs = append(inputs, integers("beginnings", sh.before, sh.beginning), integers("length", sh.before), integers("parent", sh.rows))
	}
	inputs = append(inputs, integers("tokens", sh.rows, sh.time), integers("places", sh.places), integers("targets", sh.places))
	program, err := xla.Compile(s.device, "score", inputs, func(_ *graph.Graph, nodes []*graph.Node) []*graph.Node {
		weights, in := nodes[:count], nodes[count:]
		var logProb, likeliest *graph.Node
		if sh.before > 0 {
			logProb, likeliest = s.model.ScoreAfter(s.device.Compute, weights, in[0], in[1], in[3], in[2], in[4], in[5])
		} else {
			logProb, likeliest = s.model.Score(s.device.Compute, weights, in[0], in[1], in[2])
		}
		return []*graph.Node{logProb, likeliest}
	})
	if err != nil {
		return nil, err
	}
	s.programs[sh] = program
	return program, nil
}

// run scores a batch.
func (s *Scorer) run(b batch, scores []Score) error {
	program, err := s.compiled(b.shape)
	if err != nil {
		return err
	}
	var small []*tensors.Tensor
	if b.before > 0 {
		small = append(small, matrix(b.beginnings, b.before, b.beginning), vector(lengths(b.beginnings), b.before), vector(b.parents, b.rows))
	}
	targets := make([]int32, b.places)
	places := make([]int32, b.places)
	for i, want := range b.wants {
		places[i], targets[i] = int32(want.place), want.target
	}
	small = append(small, matrix(b.tokens, b.rows, b.time), vector(places, b.places), vector(targets, b.places))
	defer free(small)
	outputs, err := program.Run(append(append([]*tensors.Tensor{}, s.weights...), small...)...)
	if err != nil {
		return err
	}
	defer free(outputs)
	logProbs, err := tensors.CopyFlatData[float32](outputs[0])
	if err != nil {
		return fmt.Errorf("score: read log-probabilities: %w", err)
	}
	likeliest, err := tensors.CopyFlatData[int32](outputs[1])
	if err != nil {
		return fmt.Errorf("score: read the likeliest tokens: %w", err)
	}
	for i, want := range b.wants {
		if math.IsNaN(float64(logProbs[i])) {
			return errors.New("score: a log-probability of the model is NaN: its training diverged, or its weights are damaged; move its newest step-* folder away to evaluate the one before")
		}
		score := &scores[want.query]
		score.LogProbs[want.token] = float64(logProbs[i])
		score.Greedy = score.Greedy && likeliest[i] == want.target
	}
	return nil
}

// matrix makes a tensor of rows of tokens, padded with zeros.
func matrix(rows [][]int32, count, time int) *tensors.Tensor {
	flat := make([]int32, count*time)
	for i, row := range rows {
		copy(flat[i*time:], row)
	}
	return tensors.FromFlatDataAndDimensions(flat, count, time)
}

// vector makes a tensor of values, padded with zeros.
func vector(values []int32, size int) *tensors.Tensor {
	flat := make([]int32, size)
	copy(flat, values)
	return tensors.FromFlatDataAndDimensions(flat, size)
}

func lengths(rows [][]int32) []int32 {
	all := make([]int32, len(rows))
	for i, row := range rows {
		all[i] = int32(len(row))
	}
	return all
}

// free gives tensors back; it fails only on a backend that is gone.
func free(list []*tensors.Tensor) {
	for _, tensor := range list {
		_ = tensor.FinalizeAll()
	}
}
