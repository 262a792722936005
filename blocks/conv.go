package blocks

import (
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"

	"tandem/xla"
)

// causalConv is the convolution over time with its SiLU; terms of other documents are zero if reset is set. windowBWI
// [B,W-1,I] holds the inputs before the row (nil is zeros), of the same document as the row's first token. The second
// result is the window after each row's last real token, in the dtype of x.
func causalConv(ctx *Context, xBTI, weightWI, biasI, windowBWI *Node, reset bool) (yBTI, nextBWI *Node) {
	in := xla.ConvInputs{XBTI: xBTI, WeightWI: weightWI, BiasI: biasI, WindowBWI: windowBWI}
	if reset {
		in.DocumentBT = ctx.DocumentBT
	}
	if windowBWI == nil {
		windowBWI = Zeros(ctx.Graph, shapes.Make(xBTI.DType(), ctx.Batch, weightWI.Shape().Dim(0)-1, xBTI.Shape().Dim(2)))
	}
	paddedBPI := Concatenate([]*Node{ConvertDType(windowBWI, xBTI.DType()), xBTI}, 1)
	taps := weightWI.Shape().Dim(0)
	return xla.CausalConv(in), ctx.lastWindow(paddedBPI, ctx.windowedDocuments(taps, reset), taps-1)
}

// windowedDocuments is DocumentBT with the document of the first token repeated taps-1 times in front, or nil.
func (c *Context) windowedDocuments(taps int, reset bool) *Node {
	if !reset || c.DocumentBT == nil {
		return nil
	}
	before := BroadcastToDims(SliceAxis(c.DocumentBT, 1, AxisRange(0, 1)), c.Batch, taps-1)
	return Concatenate([]*Node{before, c.DocumentBT}, 1)
}

// lastWindow takes the size entries of padded that end at each row's last real token; entries of a document before that
// token's are zero.
func (c *Context) lastWindow(paddedBPI, documentBP *Node, size int) *Node {
	last := func(x *Node) *Node {
		if c.LengthB == nil {
			return SliceAxis(x, 1, AxisRange(c.Time, c.Time+size))
		}
		index := Add(ExpandAxes(c.LengthB, -1), Iota(c.Graph, shapes.Make(dtypes.Int32, c.Batch, size), 1))
		return gatherTimes(x, index)
	}
	window := last(paddedBPI)
	if documentBP == nil {
		return window
	}
	documents := last(documentBP)
	newest := BroadcastToDims(SliceAxis(documents, 1, AxisRange(size-1, size)), c.Batch, size)
	return Where(Equal(documents, newest), window, Zeros(c.Graph, window.Shape()))
}
