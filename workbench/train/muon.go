package train

import (
	"math"

	"github.com/gomlx/compute/dtypes"
	. "github.com/gomlx/gomlx/core/graph"

	"tandem/xla"
)

// Muon orthogonalises the momentum of a matrix and steps along it (Jordan et al. 2024). This is the variant that
// nanochat arrived at: Nesterov momentum; rows equilibrated; the polar factor by five Polar Express iterations (Amsel
// et al. 2025, arXiv:2505.16932); second moments per neuron (NorMuon, Li et al. 2025, arXiv:2510.05491); cautious weight
// decay (Chen et al. 2025, arXiv:2510.12402).
//
// Matrices are stored [in, out], so a "row" of that literature, one output neuron, is a column here. Same-shape matrices
// go through as one stack [K, in, out].

// polarExpress holds the coefficients (a, b, c) of X ← aX + (bA + cA²)X, A = XXᵀ.
var polarExpress = [][3]float64{
	{8.156554524902461, -22.48329292557795, 15.878769915207462},
	{4.042929935166739, -2.808917465908714, 0.5000178451051316},
	{3.8916678022926607, -2.772484153217685, 0.5060648178503393},
	{3.285753657755655, -2.3681294933425376, 0.46449024233003106},
	{2.3465413258596377, -1.7097828382687081, 0.42323551169305323},
}

// normuonDecay is the decay of the second moments.
const normuonDecay = 0.9

// nesterov updates the momentum buffer and returns the gradient seen through it: buffer ← μ·buffer + (1-μ)·g, then
// (1-μ)·g + μ·buffer.
func nesterov(gradient, buffer, momentum *Node) (seen, next *Node) {
	rest := OneMinus(momentum)
	next = Add(Mul(momentum, buffer), Mul(rest, gradient))
	return Add(Mul(rest, gradient), Mul(momentum, next)), next
}

// orthogonalize turns each matrix of a stack into its polar factor, scaled to the Frobenius norm √min(in, out). The
// products run in the compute dtype.
func orthogonalize(xKIO *Node, compute dtypes.DType) *Node {
	in, out := xKIO.Shape().Dim(1), xKIO.Shape().Dim(2)
	norm := frobenius(xKIO)
	neuron := Sqrt(ReduceAndKeep(Square(xKIO), ReduceSum, 1))
	x := Mul(xKIO, Div(DivScalar(norm, math.Sqrt(float64(out))), MaxScalar(neuron, 1e-6)))
	x = Div(x, AddScalar(MulScalar(frobenius(x), 1.01), 1e-6))
	x = ConvertDType(x, compute)
	product := func(a, b *Node) *Node {
		return Dot(a, b).WithAccumulatorDType(dtypes.InvalidDType).General([]int{2}, []int{0}, []int{1}, []int{0})
	}
	for _, k := range polarExpress {
		transposed := Transpose(x, 1, 2) // XLA reads it as part of the product; the Go backend is slow at XXᵀ without
		if in <= out {
			a := product(x, transposed) // XXᵀ, [K, in, in]
			x = Add(MulScalar(x, k[0]), product(Add(MulScalar(a, k[1]), MulScalar(product(a, a), k[2])), x))
		} else {
			a := product(transposed, x) // XᵀX, [K, out, out]
			x = Add(MulScalar(x, k[0]), product(x, Add(MulScalar(a, k[1]), MulScalar(product(a, a), k[2]))))
		}
	}
	x = ConvertDType(x, dtypes.Float32)
	return Mul(x, Div(Const(x.Graph(), float32(math.Sqrt(float64(min(in, out))))), MaxScalar(frobenius(x), 1e-10)))
}

// frobenius is each matrix's norm, [K,1,1].
func frobenius(xKIO *Node) *Node {
	count := xKIO.Shape().Dim(0)
	return Reshape(Sqrt(xla.SumLast(Reshape(Square(xKIO), count, -1))), count, 1, 1)
}

// secondShape is the shape of one matrix's second moments: per output neuron, or per input where those are fewer.
func secondShape(in, out int) []int {
	if out >= in {
		return []int{1, out}
	}
	return []int{in, 1}
}

// equalizeNeurons divides each neuron's update by its running root mean square, and restores the matrix's norm.
func equalizeNeurons(updateKIO, second *Node) (equal, next *Node) {
	in, out := updateKIO.Shape().Dim(1), updateKIO.Shape().Dim(2)
	axis, count := 1, in
	if out < in {
		axis, count = 2, out
	}
	meanSquare := DivScalar(ReduceAndKeep(Square(updateKIO), ReduceSum, axis), count)
	next = Add(MulScalar(second, normuonDecay), MulScalar(meanSquare, 1-normuonDecay))
	scaled := Mul(updateKIO, Rsqrt(MaxScalar(next, 1e-10)))
	return Mul(scaled, Div(frobenius(updateKIO), MaxScalar(frobenius(scaled), 1e-10))), next
}

// cautious is p - lr·u - lr·decay·p where u and p agree in sign, p - lr·u elsewhere.
func cautious(p, update, lr, decay *Node) *Node {
	agree := ConvertDType(GreaterOrEqual(Mul(update, p), ScalarZero(p.Graph(), dtypes.Float32)), dtypes.Float32)
	return Sub(p, Mul(lr, Add(update, Mul(decay, Mul(p, agree)))))
}

// aspect scales the learning rate of a matrix: √max(1, out/in).
func aspect(in, out int) float64 { return math.Sqrt(max(1, float64(out)/float64(in))) }
