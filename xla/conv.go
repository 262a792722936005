package xla

import (
	"github.com/gomlx/compute/dtypes"
	. "github.com/gomlx/gomlx/core/graph"
)

// The causal depthwise convolution of the Mamba block with its SiLU (Gu & Dao 2023, arXiv:2312.00752, figure 3):
//
//	y_t = bias + Σ_w weight_w · x_{t-W+1+w}        out_t = y_t·σ(y_t)
//
// in float32. Before the row stands its window, the W-1 inputs that came earlier. A term of another document is zero.
// With ȳ_t = ∂ℓ/∂out_t·silu'(y_t) the gradients are dx_s = Σ_w weight_w·ȳ_{s+W-1-w}, dweight_w = Σ_{b,t} ȳ_t·x_{t-W+1+w}
// and dbias = Σ_{b,t} ȳ_t, over the terms that count.

// ConvInputs are the operands of a convolution.
type ConvInputs struct {
	XBTI      *Node // compute dtype
	WeightWI  *Node // float32
	BiasI     *Node // float32
	WindowBWI *Node // [B,W-1,I], the inputs before the row, of the document of its first token; nil is zeros
	// DocumentBT numbers the document of each token, int32; nil is one document a row.
	DocumentBT *Node
}

// CausalConv returns out [B,T,I] in the dtype of x.
func CausalConv(in ConvInputs) *Node {
	inputs, options := []*Node{in.XBTI, in.WeightWI, in.BiasI}, convOptions{}
	if in.WindowBWI != nil {
		inputs, options.window = append(inputs, ConvertDType(in.WindowBWI, in.XBTI.DType())), true
	}
	if in.DocumentBT != nil {
		inputs, options.documents = append(inputs, in.DocumentBT), true
	}
	return causalConv(options).Call(inputs...)[0]
}

// convOptions tell which of the optional operands there are, in this order after x, weight and bias.
type convOptions struct{ window, documents bool }

func (o convOptions) name() string {
	name := ""
	if o.window {
		name += "_window"
	}
	if o.documents {
		name += "_documents"
	}
	return name
}

// inputs names the operands that stand in a list.
func (o convOptions) inputs(list []*Node) ConvInputs {
	in := ConvInputs{XBTI: list[0], WeightWI: list[1], BiasI: list[2]}
	list = list[3:]
	if o.window {
		in.WindowBWI, list = list[0], list[1:]
	}
	if o.documents {
		in.DocumentBT = list[0]
	}
	return in
}

func causalConv(o convOptions) *Operation {
	return &Operation{
		Name:    "causal_conv",
		Options: o.name(),
		Definition: func(inputs []*Node) []*Node {
			y, _ := newConvTerms(o.inputs(inputs)).sum()
			return []*Node{ConvertDType(silu(y), inputs[0].DType())}
		},
		Gradient: func(inputs, _, adjoints []*Node) []*Node {
			gradients := causalConvGradient(o).Call(append(append([]*Node{}, inputs...), adjoints[0])...)
			if o.documents {
				gradients = append(gradients, nil)
			}
			return gradients
		},
		Kernel: causalConvKernel(o),
	}
}

// causalConvGradient takes the inputs and ∂ℓ/∂out to the gradients of x, weight, bias and, if there is one, window.
func causalConvGradient(o convOptions) *Operation {
	return &Operation{
		Name:    "causal_conv_gradient",
		Options: o.name(),
		Definition: func(inputs []*Node) []*Node {
			last := len(inputs) - 1
			in := o.inputs(inputs[:last])
			c := newConvTerms(in)
			y, terms := c.sum()
			sigma := Logistic(y)
			slope := Mul(sigma, Add(constant(y, 1), Mul(y, Sub(constant(y, 1), sigma))))
			dyBTI := Mul(ConvertDType(inputs[last], dtypes.Float32), slope)
			dPaddedBPI := c.backward(dyBTI)
			dWeights := make([]*Node, c.taps)
			for tap, term := range terms {
				dWeights[tap] = ExpandAxes(sumColumns(Mul(dyBTI, term)), 0)
			}
			dx := ConvertDType(SliceAxis(dPaddedBPI, 1, AxisRange(c.taps-1)), in.XBTI.DType())
			gradients := []*Node{dx, concatenate(dWeights, 0), sumColumns(dyBTI)}
			if o.window {
				gradients = append(gradients, ConvertDType(SliceAxis(dPaddedBPI, 1, AxisRange(0, c.taps-1)), in.XBTI.DType()))
			}
			return gradients
		},
		Kernel: causalConvGradientKernel(o),
	}
}

// convTerms lays a convolution out for its sums: padded is window and row together, P = W-1+T entries.
type convTerms struct {
	ConvInputs
	taps, time, inner int
	paddedBPI         *Node // float32
	documentBP        *Node // of each entry, or nil
}

func newConvTerms(in ConvInputs) *convTerms {
	c := &convTerms{ConvInputs: in, taps: in.WeightWI.Shape().Dim(0), time: in.XBTI.Shape().Dim(1), inner: in.XBTI.Shape().Dim(2)}
	batch, window := in.XBTI.Shape().Dim(0), in.WindowBWI
	if window == nil {
		window = filled(constant(in.XBTI, 0), batch, c.taps-1, c.inner)
	}
	c.paddedBPI = Concatenate([]*Node{ConvertDType(window, dtypes.Float32), ConvertDType(in.XBTI, dtypes.Float32)}, 1)
	if in.DocumentBT != nil {
		parts := []*Node{in.DocumentBT}
		for range c.taps - 1 {
			parts = append([]*Node{SliceAxis(in.DocumentBT, 1, AxisRange(0, 1))}, parts...)
		}
		c.documentBP = Concatenate(parts, 1)
	}
	return c
}

// filled is a tensor of one value.
func filled(value *Node, dims ...int) *Node { return BroadcastToDims(value, dims...) }

// weight is a tap's weights at every token, [B,T,I] or [1,1,I].
func (c *convTerms) weight(tap int) *Node {
	return alongTokens(SliceAxis(c.WeightWI, 0, AxisRange(tap, tap+1)), c.XBTI.Shape().Dim(0), c.time)
}

// sum is y before the SiLU, and the term x_{t-W+1+w} of each tap w with zeros where it does not count, all [B,T,I].
func (c *convTerms) sum() (yBTI *Node, terms []*Node) {
	yBTI = alongTokens(c.BiasI, c.XBTI.Shape().Dim(0), c.time)
	for tap := range c.taps {
		term := SliceAxis(c.paddedBPI, 1, AxisRange(tap, tap+c.time))
		if c.documentBP != nil && tap < c.taps-1 {
			same := Equal(SliceAxis(c.documentBP, 1, AxisRange(tap, tap+c.time)), c.DocumentBT)
			term = Mul(term, ExpandAxes(ConvertDType(same, dtypes.Float32), -1))
		}
		terms = append(terms, term)
		yBTI = Add(yBTI, Mul(term, c.weight(tap)))
	}
	return yBTI, terms
}

// backward carries ȳ [B,T,I] back to every entry of padded: entry p has a part in tokens p-W+1 … p.
func (c *convTerms) backward(dyBTI *Node) *Node {
	var sum *Node
	batch := dyBTI.Shape().Dim(0)
	for tap := range c.taps {
		term := dyBTI
		if c.documentBP != nil && tap < c.taps-1 {
			same := Equal(SliceAxis(c.documentBP, 1, AxisRange(tap, tap+c.time)), c.DocumentBT)
			term = Mul(term, ExpandAxes(ConvertDType(same, dtypes.Float32), -1))
		}
		parts := []*Node{Mul(term, c.weight(tap))}
		if tap > 0 {
			parts = append([]*Node{filled(constant(dyBTI, 0), batch, tap, c.inner)}, parts...)
		}
		if after := c.taps - 1 - tap; after > 0 {
			parts = append(parts, filled(constant(dyBTI, 0), batch, after, c.inner))
		}
		shifted := concatenate(parts, 1)
		if sum == nil {
			sum = shifted
			continue
		}
		sum = Add(sum, shifted)
	}
	return sum
}
