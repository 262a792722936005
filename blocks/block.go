package blocks

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"

	"github.com/gomlx/compute/dtypes"
	. "github.com/gomlx/gomlx/core/graph"
)

// Block is one layer of the stack.
type Block interface {
	// Weights declares every tensor of the block.
	Weights() []Weight
	// Forward maps xBTD to the block's output [B,T,D], differentiably. state is nil in training; otherwise it holds the
	// tensors that State declares, Forward continues from them and also returns them as they are after the last real
	// token of each row.
	Forward(ctx *Context, weights Params, xBTD *Node, state []*Node) (yBTD *Node, next []*Node)
	// State declares what decoding carries for a batch of rows, of at most capacity tokens each.
	State(batch, capacity int) []StateTensor
	// Step is Forward for one token a row, x [B,1,D], in fewer operations.
	Step(ctx *Context, weights Params, xB1D *Node, state []*Node) (yB1D *Node, next []*Node)
	// Cost counts what training the block on [batch, time] tokens takes.
	Cost(batch, time int) Cost
}

// Attending is a block whose tokens look back at others with weights that can be looked at.
type Attending interface {
	Block
	// Attention is the weights with which Forward, without state, mixes the tokens of x [B,T,D]: float32 [B,H,T,T], query by
	// key. Each query's sum to 1, and are 0 for keys that it may not see.
	Attention(ctx *Context, weights Params, xBTD *Node) *Node
}

// Config holds the options of one block kind. Zero values mean the default.
type Config interface {
	// Validate reports the first option that does not fit the model's width.
	Validate(width int) error
	// Build makes the block for a model of that width.
	Build(width int) Block
	// Derived explains every option after defaults: its value and the formula it came from.
	Derived(width int) []Derived
}

// Derived is one resolved option, for people.
type Derived struct {
	Key     string `json:"key"`
	Value   any    `json:"value"`
	Formula string `json:"formula"`
}

// Params gives a block its weights by the names it declared. Matrices come in the compute dtype, all else in float32.
type Params map[string]*Node

// StateTensor declares one tensor of a block's decoding state; it starts at zero. An InvalidDType stands for the
// compute dtype.
type StateTensor struct {
	Name  string
	Shape []int
	DType dtypes.DType
}

// StateIn fills in the compute dtype of state tensors.
func StateIn(state []StateTensor, compute dtypes.DType) []StateTensor {
	for i := range state {
		if state[i].DType == dtypes.InvalidDType {
			state[i].DType = compute
		}
	}
	return state
}

// Cost counts what one block needs for a batch. Forward FLOPs count a multiply-add as two; a training step is three
// times that. Bytes are those of a training on CUDA: activations in a 2-byte compute dtype, statistics in float32, and
// every kernel taken.
type Cost struct {
	// MatrixFLOPs is in matrix products, MixFLOPs in attention scores or the scan.
	MatrixFLOPs, MixFLOPs float64
	// VectorFLOPs is the part of MixFLOPs that tensor cores have no use for.
	VectorFLOPs float64
	// RepeatedFLOPs are further ones of that kind, which kernels do twice for the sake of running in parallel.
	RepeatedFLOPs float64
	// WeightBytes is the float32 master copy.
	WeightBytes int64
	// ActivationBytes is what backward keeps from forward.
	ActivationBytes int64
	// RebuiltBytes is what backward computes again rather than keep it; a block that is checkpointed computes
	// ActivationBytes again as well.
	RebuiltBytes int64
	// WorkspaceBytes is what backward holds beside both at its peak: gradients of activations, and sums by parts.
	WorkspaceBytes int64
	// StateBytes is the decoding state of the batch at a capacity of time tokens.
	StateBytes int64
}

// StateBytes sums the sizes of state tensors.
func StateBytes(state []StateTensor) (bytes int64) {
	for _, tensor := range state {
		size := int64(tensor.DType.Size())
		for _, dim := range tensor.Shape {
			size *= int64(dim)
		}
		bytes += size
	}
	return bytes
}

// Kind is a registered block kind.
type Kind struct {
	Letter byte   // in patterns: "T"
	Name   string // in configurations and long patterns: "transformer"
	About  string // one line for help
	New    func() Config
}

// Kinds lists every block kind; a new one is a file and a line here.
var Kinds = []Kind{
	{'T', "transformer", "causal self-attention and an MLP", func() Config { return &Transformer{} }},
	{'M', "mamba", "selective state space (Mamba-1), optionally with an MLP", func() Config { return &Mamba{} }},
}

// KindByLetter finds a kind by its pattern letter, in either case.
func KindByLetter(letter byte) (Kind, bool) {
	for _, kind := range Kinds {
		if strings.EqualFold(string(letter), string(kind.Letter)) {
			return kind, true
		}
	}
	return Kind{}, false
}

// KindByName finds a kind by its name or letter, in either case.
func KindByName(name string) (Kind, bool) {
	for _, kind := range Kinds {
		if strings.EqualFold(name, kind.Name) || strings.EqualFold(name, string(kind.Letter)) {
			return kind, true
		}
	}
	return Kind{}, false
}

// KindList names the kinds for error messages: "T (transformer), M (mamba)".
func KindList() string {
	names := make([]string, len(Kinds))
	for i, kind := range Kinds {
		names[i] = fmt.Sprintf("%c (%s)", kind.Letter, kind.Name)
	}
	return strings.Join(names, ", ")
}

// Configs holds the options of each block kind by the kind's name; a kind that is absent has its defaults.
type Configs map[string]Config

// Of returns the options of a kind.
func (c Configs) Of(kind Kind) Config {
	if config, ok := c[kind.Name]; ok {
		return config
	}
	return kind.New()
}

// UnmarshalJSON reads the options of registered kinds and refuses others.
func (c *Configs) UnmarshalJSON(data []byte) error {
	var raw map[string]json.RawMessage
	if err := json.Unmarshal(data, &raw); err != nil {
		return err
	}
	*c = Configs{}
	for name, options := range raw {
		kind, ok := KindByName(name)
		if !ok {
			return fmt.Errorf("block options for %q: unknown kind; there are %s", name, KindList())
		}
		config := kind.New()
		decoder := json.NewDecoder(strings.NewReader(string(options)))
		decoder.DisallowUnknownFields()
		if err := decoder.Decode(config); err != nil {
			return fmt.Errorf("block options for %s: %w", kind.Name, err)
		}
		(*c)[kind.Name] = config
	}
	return nil
}

// mostOption bounds whole numbers among options, mostChannels layers inside a block, so that sizes can be counted.
const (
	mostOption   = 1 << 20
	mostChannels = 1 << 22
)

// inRange reports the first number among a kind's options that is below zero or beyond counting.
func inRange(kind string, config Config) error {
	options := reflect.ValueOf(config).Elem()
	for i := range options.NumField() {
		field := options.Field(i)
		key, _, _ := strings.Cut(options.Type().Field(i).Tag.Get("json"), ",")
		switch {
		case field.CanInt() && field.Int() < 0 || field.CanFloat() && field.Float() < 0:
			return fmt.Errorf("%s.%s %v: may not be negative; leave it out for the default", kind, key, field.Interface())
		case field.CanInt() && field.Int() > mostOption:
			return fmt.Errorf("%s.%s %v: more than %d are not supported", kind, key, field.Interface(), mostOption)
		}
	}
	return nil
}

// checkChannels reports an option that makes a layer too wide to be counted.
func checkChannels(key string, option int, of string, size int) error {
	if channels := option * size; channels > mostChannels {
		return fmt.Errorf("%s %d: times %s %d is %d channels; at most %d are supported", key, option, of, size, channels, mostChannels)
	}
	return nil
}
