package lab_test

import (
	"fmt"

	"tandem/workbench/lab"
)

func ExampleModel() {
	m := lab.Model("T12 M8", lab.Depth(20))
	fmt.Println(m.Pattern(), m.Parameters())
	lab.Model("T12 X8") // an error, shown with its place
	fmt.Println(lab.Model("T12 X8").Err())
	// Output:
	// T12 M8 324218880
	// T12 X8
	//     ^
	// T12 X8
	//     ^
	// pattern "T12 X8": column 5: unknown block 'X'; there are T (transformer), M (mamba)
}

func ExampleArchitecture_Show() {
	lab.Model("M T", lab.Width(128)).Show()
}

func ExampleArchitecture_Estimate() {
	lab.Model("rtx3070_d16").Estimate("rtx3070")
}

func ExampleArchitecture_Explore() {
	lab.Model("rtx3070_d16").Explore()
}

func ExampleMust() {
	m := lab.Must(lab.Model("M20")) // a wrong pattern would end the cell here
	fmt.Println(m.FLOPs() > 0, m.StateBytes(10) == m.StateBytes(1000))
	// Output: true true
}

func ExampleDepth() {
	fmt.Println(lab.Model("", lab.Depth(4)).Pattern())
	// Output: T4
}

func ExampleWidth() {
	fmt.Println(lab.Model("T2", lab.Width(256)).Config.Model.Width)
	// Output: 256
}

func ExampleContext() {
	fmt.Println(lab.Model("T2", lab.Context(1024)).Config.Model.Context)
	// Output: 1024
}

func ExampleVocab() {
	fmt.Println(lab.Model("T2", lab.Vocab(32768)).Config.Model.Vocab)
	// Output: 32768
}

func ExampleData() {
	fmt.Println(lab.Model("T2", lab.Data("godoc:net/http")).Config.Data)
	// Output: godoc:net/http
}

func ExampleBatch() {
	fmt.Println(lab.Model("T2", lab.Batch(16)).Config.Train.Batch)
	// Output: 16
}

func ExampleSteps() {
	fmt.Println(lab.Model("T2", lab.Steps(100)).Config.Train.Steps)
	// Output: 100
}

func ExampleMinutes() {
	fmt.Println(lab.Model("T2", lab.Minutes(5)).Config.Train.Minutes)
	// Output: 5
}

func ExampleSeed() {
	fmt.Println(lab.Model("T2", lab.Seed(7)).Config.Train.Seed)
	// Output: 7
}

func ExampleName() {
	fmt.Println(lab.Model("T2", lab.Name("first")).Config.Run)
	// Output: first
}

func ExampleBackend() {
	fmt.Println(lab.Model("T2", lab.Backend("go")).Config.Backend)
	// Output: go
}

func ExampleSet() {
	fmt.Println(lab.Model("M2", lab.Set("mamba.state", 8)).Err())
	fmt.Println(lab.Model("M2", lab.Set("steps", "many")).Err() != nil)
	// Output:
	// <nil>
	// true
}

func ExampleKeepRunning() {
	m, leave := inFolder() // where sessions are off
	defer leave()
	lab.Train(m, lab.KeepRunning())
	// Output: error: keep running: a training can only outlive its program in a session, and TANDEM_SESSION is off
}

func ExampleShowDecay() {
	lab.ShowDecay(0.5)
	// Output:
	// What is left of a state after k tokens (exp(-Δ·k) against k)
	//   Δ = 0.5: 1 at 0 to 1.266e-14 at 64
	// Δ    tokens until half is left
	// 0.5  1.39
}

func ExampleShowSelection() {
	lab.ShowSelection(8, 28)
}

func ExampleShowScan() {
	lab.ShowScan("go")
}

func ExampleGrouped() {
	fmt.Println(lab.Grouped(560988160))
	// Output: 560,988,160
}
