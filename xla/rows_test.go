package xla_test

import (
	"fmt"
	"testing"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"tandem/tests/testkit"
	"tandem/xla"
)

func TestOneRowIsReplacedAndTheOthersStay(t *testing.T) {
	const rows = 3
	for slot := range rows {
		t.Run(fmt.Sprintf("row %d", slot), func(t *testing.T) {
			inputs := append(drawn([]int{rows, 2, 5}, []int{1, 2, 5}), tensors.FromScalar(int32(slot)))
			outputs := testkit.Run(t, testkit.Device(t), inputs, func(in []*Node) []*Node {
				var list []*Node
				for row := range rows {
					kept := SliceAxis(in[0], 0, AxisElem(row))
					if row == slot {
						kept = in[1]
					}
					list = append(list, kept)
				}
				return []*Node{xla.PutRow(in[0], in[1], in[2]), Concatenate(list, 0)}
			})
			testkit.Close(t, "rows", outputs[1], outputs[0], 0)
		})
	}
}
