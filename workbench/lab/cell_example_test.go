package lab_test

import (
	"fmt"
	"os"
	"strings"

	"tandem/workbench/lab"
)

// quiet shows nothing: what a training shows depends on the time that it takes.
type quiet struct{}

func (quiet) Show(p lab.Panel) {
	if p.Err != nil {
		fmt.Println("error:", p.Err)
	}
}
func (quiet) Live() func(lab.Panel)                                { return func(lab.Panel) {} }
func (quiet) Ask(string) (write func(piece string), finish func()) { return func(string) {}, func() {} }

// inFolder moves an example to a folder of its own, with a small text, and makes it quiet. small is a model of a moment.
func inFolder() (small *lab.Architecture, leave func()) {
	before, err := os.Getwd()
	if err == nil {
		var folder string
		folder, err = os.MkdirTemp("", "tandem-example")
		leave = func() {
			lab.SetDisplay(lab.TextDisplay())
			os.Chdir(before)
			os.RemoveAll(folder)
		}
		os.Setenv(lab.CacheVariable, folder)
		os.Setenv(lab.SessionVariable, "off")
		if err == nil {
			err = os.Chdir(folder)
		}
		text := strings.Repeat("The rain sees the town and the door finds a small dog.\n", 20)
		for i := 0; i < 60 && err == nil; i++ {
			err = os.WriteFile(fmt.Sprintf("%d.txt", i), fmt.Appendln(nil, i, text), 0o600)
		}
	}
	if err != nil {
		panic(err)
	}
	lab.SetDisplay(quiet{})
	return lab.Model("MT", lab.Width(16), lab.Vocab(300), lab.Context(64), lab.Batch(1), lab.Data("*.txt"), lab.Backend("go"),
		lab.Set("eval_batches", 1), lab.Set("sample_tokens", 2)), leave
}

func ExampleTrain() {
	m, leave := inFolder()
	defer leave()
	run := lab.Train(m, lab.Name("first"), lab.Steps(3))
	fmt.Println(run.Name, run.Info.Pattern, run.Err())
	// Output: first M T <nil>
}

func ExampleResume() {
	m, leave := inFolder()
	defer leave()
	lab.Train(m, lab.Name("first"), lab.Steps(2))
	run := lab.Resume("first", lab.Steps(4))
	fmt.Println(run.Name, run.Err())
	fmt.Println(lab.Resume("first").Err())
	// Output:
	// first <nil>
	// error: resume first: all 4 steps are done; raise --steps to train on
	// resume first: all 4 steps are done; raise --steps to train on
}

func ExampleWatch() {
	m, leave := inFolder()
	defer leave()
	lab.Train(m, lab.Name("first"), lab.Steps(2))
	fmt.Println(lab.Watch("first").Name)
	// Output: first
}

func ExampleStop() {
	_, leave := inFolder()
	defer leave()
	lab.Stop("first")
	// Output: error: stop first: it is not being trained by this session; no run is
}

func ExampleOpen() {
	m, leave := inFolder()
	defer leave()
	lab.Open("")
	lab.Train(m, lab.Name("first"), lab.Steps(2))
	fmt.Println(lab.Open("").Show().Name)
	// Output:
	// error: open run: there is none under runs; train one with: go run ./workbench train
	// first
}

func ExampleCompare() {
	m, leave := inFolder()
	defer leave()
	lab.Train(m, lab.Steps(2))
	lab.SetDisplay(lab.TextDisplay())
	comparison := lab.Compare("M T", "M20") // shows tokens per second, which differ each time
	fmt.Println(comparison.Entries[1].Parameters, comparison.Save("losses.svg"))
}

func ExampleCompareRuns() {
	_, leave := inFolder()
	defer leave()
	comparison, err := lab.CompareRuns([]string{"T2", "M2"})
	fmt.Println(comparison.Entries[0].Parameters, comparison.Entries[1].Parameters, err)
	// Output: 917504 757248 <nil>
}

func ExampleStates() {
	lab.States("T2", "M2")
	// Output:
	// State of one conversation (MB against tokens)
	//   T2: 4e-06 at 0 to 33.55 at 3.277e+04
	//   M2: 0.03584 at 0 to 0.03584 at 3.277e+04
	// tokens  T2       M2
	// 0       4 B      35.8 kB
	// 512     524 kB   35.8 kB
	// 1,024   1.05 MB  35.8 kB
	// 2,048   2.1 MB   35.8 kB
	// 4,096   4.19 MB  35.8 kB
	// 8,192   8.39 MB  35.8 kB
	// 16,384  16.8 MB  35.8 kB
	// 32,768  33.6 MB  35.8 kB
}

func ExampleRun_Chat() {
	m, leave := inFolder()
	defer leave()
	run := lab.Train(m, lab.Steps(2))
	talk := run.Chat("What does the rain see?", lab.Tokens(3), lab.Temperature(0), lab.System("Be brief."))
	defer talk.Close()
	fmt.Println(talk.Ask("And the door?").Show().Err())
	// Output: <nil>
}

func ExampleTokens() {
	m, leave := inFolder()
	defer leave()
	fmt.Println(lab.Train(m, lab.Steps(1)).Chat("Hello", lab.Tokens(2)).Err())
	// Output: <nil>
}

func ExampleTemperature() {
	m, leave := inFolder()
	defer leave()
	fmt.Println(lab.Train(m, lab.Steps(1)).Chat("Hello", lab.Temperature(0), lab.Tokens(2)).Err())
	// Output: <nil>
}

func ExampleSystem() {
	m, leave := inFolder()
	defer leave()
	fmt.Println(lab.Train(m, lab.Steps(1)).Chat("Hello", lab.System("Be brief."), lab.Tokens(2)).Err())
	// Output: <nil>
}

func ExampleShowAttention() {
	m, leave := inFolder()
	defer leave()
	run := lab.Train(m, lab.Steps(2))
	attention := lab.ShowAttention(run, "The rain sees the town.")
	fmt.Println(attention.Layers, attention.Tokens[0], attention.Weights[0][0][0], attention.Save("attention.svg"))
	lab.ShowAttention(run, "The rain", lab.Layer(0))
	// Output:
	// [1] <|bos|> [1] <nil>
	// error: show attention of tiny-001: layer 0: of the layers 0 to 1 of M T, those with attention are 1
}

func ExampleLayer() {
	m, leave := inFolder()
	defer leave()
	fmt.Println(lab.ShowAttention(lab.Train(m, lab.Steps(1)), "The rain", lab.Layer(1)).Err())
	// Output: <nil>
}

func ExampleHead() {
	m, leave := inFolder()
	defer leave()
	fmt.Println(lab.ShowAttention(lab.Train(m, lab.Steps(1)), "The rain", lab.Head(0)).Err())
	// Output: <nil>
}

func ExampleCalculate() {
	lab.Calculate("(17 + 3) * 12345")
	lab.Calculate("2 * (3 + 4")
	// Output: <|python_start|>(17 + 3) * 12345<|python_end|><|output_start|>246900<|output_end|>
}
