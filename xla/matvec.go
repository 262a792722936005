package xla

import (
	"fmt"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	. "github.com/gomlx/gomlx/core/graph"
)

// Decoding one token a row is bound by reading weights and state once, and by the number of kernels. Its operations
// therefore take several steps of a block at once: Products, AttendStep, MambaStep and Logits. They have no gradients.

// FusesSteps tells whether decoding on x's backend is to use these operations. Where they have no kernels, the block's
// own way is as fast.
func FusesSteps(x *Node) bool { return fuseEverywhere || fusesSteps(x.Graph().Backend()) }

// FusesSteps tells whether decoding on the device uses fused operations. Their kernels read weights transposed: store them so
// for programs that decode, and give these a Transpose.
func (d *Device) FusesSteps() bool { return fusesSteps(d.Backend) }

func fusesSteps(backend compute.Backend) bool {
	decorated, ok := backend.(*kernels)
	return ok && decorated.cuda && KernelsEnabled()
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

// Products is f(norm(x)·W_i) for up to three weights [K,N_i], all over the last axis of x [B,1,K], plus a residual. The
// fused kernels read Wᵀ; a weight that is a Transpose of what is stored costs nothing.
func Products(x *Node, o ProductOptions, weights ...*Node) []*Node {
	if fusesProducts(x) {
		inputs := []*Node{x}
		if o.Residual != nil {
			inputs = append(inputs, o.Residual)
		}
		for _, weight := range weights {
			inputs = append(inputs, transposed(weight))
		}
		return matvec(matvecOptions{o.NormEpsilon, o.SquareReLU, o.Residual != nil}).Call(inputs...)
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
	if fusesProducts(x) {
		return wide(epsilon, softcap).Call(x, transposed(wKV))[0]
	}
	raw := Dot(RMSNorm(x, epsilon), wKV).WithAccumulatorDType(dtypes.InvalidDType).General([]int{-1}, nil, []int{0}, nil)
	raw = ConvertDType(raw, dtypes.Float32)
	return MulScalar(Tanh(DivScalar(raw, softcap)), softcap)
}

// wideProduct is x·W in float32: x [B,1,K] and W [K,N] to [B,1,N].
func wideProduct(x, wKN *Node) *Node {
	if FusesSteps(x) {
		return wide(0, 0).Call(x, transposed(wKN))[0]
	}
	return contract(x, -1, wKN, 0, dtypes.Float32)
}

// fusesProducts tells whether products of x [B,T,K] take the fused kernels.
func fusesProducts(x *Node) bool {
	return FusesSteps(x) && x.Shape().Size()/x.Shape().Dim(-1) <= mostProductRows
}

// transposed is a weight [K,N] as [N,K]: what it is the transpose of, if it is one.
func transposed(wKN *Node) *Node {
	if wKN.Type() == NodeTypeTranspose {
		return wKN.Inputs()[0]
	}
	return Transpose(wKN, 0, 1)
}

// matvecOptions are ProductOptions as an operation has them: its inputs are x, the residual if there is one, the weights
// [N_i,K].
type matvecOptions struct {
	epsilon  float64
	relu     bool
	residual bool
}

func (o matvecOptions) name() string {
	name := epsilonName(o.epsilon)
	if o.relu {
		name += "_relu2"
	}
	if o.residual {
		name += "_residual"
	}
	return name
}

func epsilonName(epsilon float64) string {
	if epsilon > 0 {
		return fmt.Sprintf("_eps%g", epsilon)
	}
	return ""
}

func matvec(o matvecOptions) *Operation {
	return &Operation{
		Name:    "matvec",
		Options: o.name(),
		Kernel:  matvecKernel(o),
		Definition: func(inputs []*Node) []*Node {
			x, weights := normedRows(inputs[0], o.epsilon), inputs[1:]
			if o.residual {
				weights = inputs[2:]
			}
			outputs := make([]*Node, len(weights))
			for i, weight := range weights {
				y := product(x, weight, 1, 1)
				if o.relu {
					y = squareReLU.Definition([]*Node{y})[0]
				}
				outputs[i] = Reshape(y, withLast(inputs[0], weight.Shape().Dim(0))...)
			}
			if o.residual {
				outputs[0] = Add(inputs[1], outputs[0])
			}
			return outputs
		},
	}
}

// wide takes x and a weight [N,K] to products in float32, with a norm before and a softcap after them where they are not 0.
func wide(epsilon, softcap float64) *Operation {
	return &Operation{
		Name:    "wide_product",
		Options: fmt.Sprintf("%s_cap%g", epsilonName(epsilon), softcap),
		Kernel:  wideKernel(epsilon, softcap),
		Definition: func(inputs []*Node) []*Node {
			y := ConvertDType(product(normedRows(inputs[0], epsilon), inputs[1], 1, 1), dtypes.Float32)
			if softcap > 0 {
				bound := constant(y, float32(softcap))
				y = Mul(Tanh(Div(y, bound)), bound)
			}
			return []*Node{Reshape(y, withLast(inputs[0], inputs[1].Shape().Dim(0))...)}
		},
	}
}

// normedRows is x, normed unless epsilon is 0, as rows. It is for definitions.
func normedRows(x *Node, epsilon float64) *Node {
	if epsilon > 0 {
		x = rmsNorm(epsilon).Definition([]*Node{x})[0]
	}
	return flat(x)
}
