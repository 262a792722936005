package xla

import (
	"fmt"

	"github.com/gomlx/compute/dtypes"
	. "github.com/gomlx/gomlx/core/graph"
)

// Decoding one token a row is bound by reading weights and state once, and by the number of kernels. Its operations
// therefore take several steps of a block at once: Products, AttendStep, MambaStep and Logits. They have no gradients.

// FusesSteps tells whether decoding on x's backend is to use these operations. Where they have no kernels, the block's
// own way is as fast.
func FusesSteps(x *Node) bool {
	backend, ok := x.Graph().Backend().(*kernels)
	return fuseEverywhere || ok && backend.cuda && KernelsEnabled()
}

// fuseEverywhere makes decoding use them where they have no kernels too; a variable for tests alone.
var fuseEverywhere = false

// ProductOptions say what goes along with Products.
type ProductOptions struct {
	// NormEpsilon is the ε of an RMSNorm of x; 0 is no norm.
	NormEpsilon float64
	// SquareReLU applies max(·, 0)² to the products.
	SquareReLU bool
	// Residual is added to the one product, whose shape it has.
	Residual *Node
}

// Products is f(norm(x)·W_i) for up to three weights [K,N_i], all over the last axis of x [B,1,K], plus a residual.
func Products(x *Node, o ProductOptions, weights ...*Node) []*Node {
	if FusesSteps(x) && x.Shape().Size()/x.Shape().Dim(-1) <= mostProductRows {
		inputs := []*Node{x}
		if o.Residual != nil {
			inputs = append(inputs, o.Residual)
		}
		return matvec(matvecOptions{o.NormEpsilon, o.SquareReLU, o.Residual != nil}).Call(append(inputs, weights...)...)
	}
	if o.NormEpsilon > 0 {
		x = RMSNorm(x, o.NormEpsilon)
	}
	products := make([]*Node, len(weights))
	for i, weight := range weights {
		if i > 0 && FusesSteps(x) {
			x = OptimizationBarrier(x) // or XLA joins the products by copying the weights side by side, in every step
		}
		products[i] = Dense(x, weight)
		if o.SquareReLU {
			products[i] = SquareReLU(products[i])
		}
	}
	if o.Residual != nil {
		products[0] = Add(o.Residual, products[0])
	}
	return products
}

// Logits is cap·tanh(norm(x)·W/cap) in float32: x [B,T,K] and W [K,V] to [B,T,V].
func Logits(x, wKV *Node, epsilon, softcap float64) *Node {
	if FusesSteps(x) && x.Shape().Size()/x.Shape().Dim(-1) <= mostProductRows {
		return logits(epsilon, softcap).Call(x, wKV)[0]
	}
	raw := Dot(RMSNorm(x, epsilon), wKV).WithAccumulatorDType(dtypes.InvalidDType).General([]int{-1}, nil, []int{0}, nil)
	raw = ConvertDType(raw, dtypes.Float32)
	return MulScalar(Tanh(DivScalar(raw, softcap)), softcap)
}

// matvecOptions are ProductOptions as an operation has them: its inputs are x, the residual if there is one, the weights.
type matvecOptions struct {
	epsilon  float64
	relu     bool
	residual bool
}

func (o matvecOptions) name() string {
	name := ""
	if o.epsilon > 0 {
		name = fmt.Sprintf("_eps%g", o.epsilon)
	}
	if o.relu {
		name += "_relu2"
	}
	if o.residual {
		name += "_residual"
	}
	return name
}

func matvec(o matvecOptions) *Operation {
	return &Operation{
		Name:    "matvec",
		Options: o.name(),
		Kernel:  matvecKernel(o),
		Definition: func(inputs []*Node) []*Node {
			x, weights := inputs[0], inputs[1:]
			if o.residual {
				weights = inputs[2:]
			}
			if o.epsilon > 0 {
				x = rmsNorm(o.epsilon).Definition(inputs[:1])[0]
			}
			outputs := make([]*Node, len(weights))
			for i, weight := range weights {
				y := product(flat(x), weight, 1, 0)
				if o.relu {
					y = squareReLU.Definition([]*Node{y})[0]
				}
				outputs[i] = Reshape(y, withLast(x, weight.Shape().Dim(1))...)
			}
			if o.residual {
				outputs[0] = Add(inputs[1], outputs[0])
			}
			return outputs
		},
	}
}

func logits(epsilon, softcap float64) *Operation {
	return &Operation{
		Name:    "logits",
		Options: fmt.Sprintf("_eps%g_cap%g", epsilon, softcap),
		Kernel:  logitsKernel(epsilon, softcap),
		Definition: func(inputs []*Node) []*Node {
			x := rmsNorm(epsilon).Definition(inputs[:1])[0]
			raw := ConvertDType(product(flat(x), inputs[1], 1, 0), dtypes.Float32)
			bound := constant(raw, float32(softcap))
			return []*Node{Reshape(Mul(Tanh(Div(raw, bound)), bound), withLast(x, inputs[1].Shape().Dim(1))...)}
		},
	}
}
