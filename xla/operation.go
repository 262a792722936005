package xla

import (
	"fmt"
	"slices"
	"strings"

	"github.com/gomlx/compute/gobackend"
	"github.com/gomlx/compute/shapes"
	"github.com/gomlx/gomlx/core/graph"
)

// Operation is a custom operation: something XLA alone does badly or whose gradient we write by hand. Its definition in
// ordinary graph operations runs on every backend and is what anything faster is compared with.
//
// The definition becomes a named function of the graph, one per combination of input shapes, called from each place of
// use. Two traps of GoMLX v0.28 bind what stands in it:
//   - Constants must be made with graph.Const: the ...Scalar helpers share constants between functions.
//   - Operands must be left to broadcast implicitly, by axes of length 1: the Go backend folds an explicit
//     BroadcastToDims into the element-wise operation after it, in functions it has already compiled, and then fails
//     with "not computed yet".
type Operation struct {
	// Name says what the operation is, Options what is fixed in this definition of it; together they are unique.
	Name    string
	Options string
	// Definition builds the outputs from the inputs.
	Definition func(inputs []*graph.Node) []*graph.Node
	// Gradient returns one adjoint per input, of the input's shape and dtype (nil for none), from the call's inputs and
	// outputs and one adjoint per output. An Operation without one cannot be differentiated.
	Gradient func(inputs, outputs, adjoints []*graph.Node) []*graph.Node
	// Kernel plans how inputs of these shapes run on CUDA. A nil plan comes with the reason why the definition must do; an
	// Operation without Kernel always runs its definition.
	Kernel func(inputs []shapes.Shape) (plan *Plan, reason string)
}

// operationsKey finds a graph's operations in its attached state.
type operationsKey struct{}

// operations is what one graph knows of the custom operations in it.
type operations struct {
	functions map[string]*graph.Function
	byName    map[string]*Operation         // by function name
	outputs   map[*graph.Node][]*graph.Node // by call node
}

func operationsOf(g *graph.Graph) *operations {
	if found, ok := g.State(operationsKey{}).(*operations); ok {
		return found
	}
	fresh := &operations{
		functions: map[string]*graph.Function{},
		byName:    map[string]*Operation{},
		outputs:   map[*graph.Node][]*graph.Node{},
	}
	g.AttachState(operationsKey{}, fresh)
	return fresh
}

// Call applies the operation to the inputs.
func (o *Operation) Call(inputs ...*graph.Node) []*graph.Node {
	g := inputs[0].Graph()
	known := operationsOf(g)
	name := o.functionName(inputs)
	count := len(inputs)
	inputs = slices.Repeat(inputs, timesGiven(g))
	function, ok := known.functions[name]
	if !ok {
		shapeOf := make([]shapes.Shape, len(inputs))
		for i, input := range inputs {
			shapeOf[i] = input.Shape()
		}
		plan := o.plan(g, name, shapeOf[:count])
		function = graph.NewFunction(g, name, func(g *graph.Graph) []*graph.Node {
			parameters := make([]*graph.Node, len(shapeOf))
			for i, shape := range shapeOf {
				parameters[i] = graph.Parameter(g, fmt.Sprintf("input%d", i), shape)
			}
			if plan != nil {
				return placeholders(g, plan.outputShapes(shapeOf))
			}
			return o.Definition(parameters[:count])
		})
		known.functions[name] = function
		known.byName[name] = o
	}
	outputs := function.Call(inputs...)
	call := outputs[0]
	if len(outputs) > 1 {
		call = outputs[0].Inputs()[0] // several outputs are split from the one call node
	}
	known.outputs[call] = outputs
	return outputs
}

// timesGiven is how often a call is given its inputs. The Go backend lets a call consume an input of which it seems to be
// the last user, while the user before it may still be looking at it; that one then fails with a lock in its hands, and the
// execution waits for ever (compute v0.1.2, executeNode). An input that is given twice has no last user.
func timesGiven(g *graph.Graph) int {
	if _, decorated := g.Backend().(*kernels); decorated || g.Backend().String() != gobackend.BackendName {
		return 1
	}
	return 2
}

// functionName names the graph function for these input shapes, in letters that StableHLO takes for a name.
func (o *Operation) functionName(inputs []*graph.Node) string {
	var name strings.Builder
	name.WriteString(o.Name + o.Options)
	for _, input := range inputs {
		name.WriteString("_" + input.DType().String())
		for _, dim := range input.Shape().Dimensions {
			fmt.Fprintf(&name, "_%d", dim)
		}
	}
	return strings.NewReplacer("-", "_", "+", "_", ".", "_").Replace(name.String())
}

// plan decides between kernel and definition, registers the plan with the backend, and notes what was decided.
func (o *Operation) plan(g *graph.Graph, name string, inputs []shapes.Shape) *Plan {
	backend, ok := g.Backend().(*kernels)
	if !ok || !backend.cuda || o.Kernel == nil {
		note(o.Name, "")
		return nil
	}
	if !KernelsEnabled() {
		backend.plans.Delete(name)
		note(o.Name, KernelsVariable+" is off")
		return nil
	}
	plan, reason := o.kernelWithin(backend.limits, inputs)
	if plan == nil {
		note(o.Name, reason)
		return nil
	}
	backend.plans.Store(name, plan)
	noteKernel(o.Name)
	return plan
}

// placeholders have the shapes of a planned function's outputs. The backend never reads them: it replaces the call.
func placeholders(g *graph.Graph, outputs []shapes.Shape) []*graph.Node {
	nodes := make([]*graph.Node, len(outputs))
	for i, shape := range outputs {
		zero := graph.ConvertDType(graph.Const(g, float32(0)), shape.DType)
		nodes[i] = graph.BroadcastToDims(zero, shape.Dimensions...)
	}
	return nodes
}

// callGradient is the gradient of every function call: only our operations make them.
func callGradient(node *graph.Node, adjoints []*graph.Node, _ shapes.Shape) []*graph.Node {
	known := operationsOf(node.Graph())
	text := node.String()
	_, text, _ = strings.Cut(text, "Call(")
	name, _, _ := strings.Cut(text, ",")
	operation, ok := known.byName[name]
	if !ok || operation.Gradient == nil {
		panic(fmt.Errorf("gradient of function %q: it has none", name))
	}
	given := node.Inputs()
	inputs := given[:len(given)/timesGiven(node.Graph())]
	outputs, ok := known.outputs[node]
	if !ok {
		// A checkpointed block is rebuilt for its gradient, so this node is a clone that we have not seen.
		outputs = operation.Call(inputs...)
	}
	gradients := operation.Gradient(inputs, outputs, adjoints)
	return append(gradients, make([]*graph.Node, len(given)-len(inputs))...)
}

// rsqrtGradient completes GoMLX's table: y = x^(-1/2), dy/dx = -y³/2.
func rsqrtGradient(y *graph.Node, adjoints []*graph.Node, _ shapes.Shape) []*graph.Node {
	cubed := graph.Mul(y, graph.Square(y))
	return []*graph.Node{graph.MulScalar(graph.Mul(adjoints[0], cubed), -0.5)}
}

func init() {
	graph.VJPRegistration[graph.NodeTypeCall] = callGradient
	graph.VJPRegistration[graph.NodeTypeRsqrt] = rsqrtGradient
}
