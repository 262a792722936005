package eval

import "fmt"

// ArithmeticRows are questions in the form of GSM8K's that need no file: sums, differences and products of numbers below 20.
// They are a task for models too small for words.
func ArithmeticRows() Rows {
	return func(yield func(Row, error) bool) {
		number := 0
		for a := range 20 {
			for b := range 20 {
				for _, q := range []struct {
					sign   string
					result int
				}{{"+", a + b}, {"-", a - b}, {"*", a * b}} {
					number++
					row := fmt.Appendf(nil, `{"question":"What is %d %s %d?","answer":"<<%d%s%d=%d>>%d\n#### %d"}`, a, q.sign, b, a, q.sign, b, q.result, q.result, q.result)
					if !yield(NewRow(fmt.Sprintf("arithmetic:%d", number), row)) {
						return
					}
				}
			}
		}
	}
}
