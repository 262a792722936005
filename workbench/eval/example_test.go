package eval_test

import (
	"fmt"

	"tandem/workbench/eval"
)

// Two of five samples of a program were right; and of a hundred questions of multiple choice, 62.
func Example() {
	fmt.Printf("pass@1 %.2f, pass@3 %.2f\n", eval.PassAtK(5, 2, 1), eval.PassAtK(5, 2, 3))
	interval := eval.Wilson(62, 100)
	fmt.Printf("accuracy 0.62, with 95 %% confidence %.3f to %.3f\n", interval.Low, interval.High)
	// Output:
	// pass@1 0.40, pass@3 0.90
	// accuracy 0.62, with 95 % confidence 0.522 to 0.709
}
