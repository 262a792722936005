package xla

import (
	. "github.com/gomlx/gomlx/core/graph"
)

// ScanRebuilt is Scan of u, δ, B and C that build makes from operands, and makes again in the backward pass: they are as
// large as all else that a Mamba block keeps, and cheap next to the scan. name says what build does, uniquely. in holds the
// other operands; operands[0] is what must be at hand for the rest to be built.
func ScanRebuilt(name string, operands []*Node, build func(operands []*Node) (uBTI, deltaBTI, bBTN, cBTN *Node), in ScanInputs) (outBTI, lastBNI *Node) {
	rebuilt := rebuiltScan{build: build, count: len(operands)}
	operation := &Operation{Name: "scan_rebuilt", Options: "_" + name, Definition: rebuilt.forward, Gradient: rebuilt.backward}
	outputs := operation.Call(append(append([]*Node{}, operands...), in.ZBTI, in.ANI, in.DI, in.BiasI, in.StartBNI, in.MarkBT)...)
	return outputs[0], outputs[1]
}

type rebuiltScan struct {
	build func(operands []*Node) (uBTI, deltaBTI, bBTN, cBTN *Node)
	count int // of the operands of build; after them come z, A, D, bias, start and marks
}

func (r rebuiltScan) scanInputs(operands, rest []*Node) ScanInputs {
	u, delta, b, c := r.build(operands)
	return ScanInputs{UBTI: u, DeltaBTI: delta, ZBTI: rest[0], ANI: rest[1], BBTN: b, CBTN: c, DI: rest[2], BiasI: rest[3], StartBNI: rest[4], MarkBT: rest[5]}
}

func (r rebuiltScan) forward(inputs []*Node) []*Node {
	return scanForward.Call(r.scanInputs(inputs[:r.count], inputs[r.count:]).list()...)
}

func (r rebuiltScan) backward(inputs, outputs, adjoints []*Node) []*Node {
	// Waiting for the adjoint keeps XLA from building u and the rest at once, or from finding that it has them already. The
	// gradients taken below end before the barrier: at it there would be none, for nothing asks for those of a stopped node.
	barrier := []*Node{StopGradient(adjoints[0])}
	for _, input := range inputs[:r.count] {
		barrier = append(barrier, StopGradient(input))
	}
	operands := OptimizationBarriers(barrier...)[1:]
	in := r.scanInputs(operands, inputs[r.count:])
	list := in.list()
	list[8] = outputs[2]
	d := scanBackward.Call(append(list, adjoints[0], adjoints[1])...)

	// The gradients of what build was given are those of Σ u·du + δ·dδ + B·dB + C·dC with the second factors fixed.
	var sum *Node
	for i, made := range []*Node{in.UBTI, in.DeltaBTI, in.BBTN, in.CBTN} {
		term := ReduceAllSum(Mul(made, StopGradient(d[[]int{0, 1, 4, 5}[i]])))
		if sum == nil {
			sum = term
			continue
		}
		sum = Add(sum, term)
	}
	gradients := make([]*Node, r.count, len(inputs))
	var wanted []*Node
	for _, operand := range operands {
		if operand.DType().IsFloat() {
			wanted = append(wanted, operand)
		}
	}
	found := Gradient(sum, wanted...)
	for i, operand := range operands {
		if operand.DType().IsFloat() {
			gradients[i], found = found[0], found[1:]
		}
	}
	return append(gradients, d[2], d[3], d[6], d[7], d[8], nil)
}
