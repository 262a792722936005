package plot_test

import (
	"fmt"

	"tandem/workbench/plot"
)

func Example() {
	loss := plot.Curves{Title: "Loss", X: "step", Y: "nats a token", Lines: []plot.Line{
		{Name: "(TM)10", X: []float64{10, 20, 30}, Y: []float64{6.1, 4.2, 3.5}},
	}}
	svg, err := plot.SVG(loss)
	fmt.Println(svg[:4], err)
	fmt.Println(loss)
	// Output:
	// <svg <nil>
	// Loss (nats a token against step)
	//   (TM)10: 6.1 at 10 to 3.5 at 30
}
