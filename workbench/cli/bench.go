package cli

import (
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"tandem/workbench/bench"
	"tandem/workbench/lab"
	"tandem/workbench/repl"
)

func benchCommand() *cobra.Command {
	command := &cobra.Command{
		Use:   "bench",
		Short: "Measure speed and memory on this machine",
		Args:  subCommand("train, decode, prefill, serve, memory, scan, conv and attention"),
		RunE:  func(command *cobra.Command, _ []string) error { return command.Help() },
	}
	command.AddCommand(benchTrain(), benchDecode(), benchPrefill(), benchServe(), benchMemory())
	for _, name := range bench.KernelNames {
		command.AddCommand(benchKernel(name))
	}
	return command
}

func benchTrain() *cobra.Command {
	var o bench.TrainOptions
	var asJSON bool
	command := &cobra.Command{
		Use:   "train [CONFIG]",
		Short: "Measure the training of a model on random tokens",
		Args:  atMost(1, "one CONFIG"),
		RunE: func(command *cobra.Command, arguments []string) error {
			loaded, err := loadConfig(command, arguments)
			if err != nil {
				return err
			}
			r, err := bench.Train(command.Context(), loaded, o, func(line string) { fmt.Fprintln(os.Stderr, line) })
			if err != nil {
				return err
			}
			if asJSON {
				return printJSON(os.Stdout, r)
			}
			rows := [][]string{
				{"model", fmt.Sprintf("%s, %s parameters, vocabulary %d", r.Pattern, lab.Grouped(r.Parameters), r.Vocab)},
				{"measured", fmt.Sprintf("%s on %d × %d tokens", r.What, r.Batch, r.Context)},
				{"time", fmt.Sprintf("%.1f ms; compiled in %.1f s", 1000*r.Seconds, r.CompileSeconds)},
				{"speed", fmt.Sprintf("%s tokens/s", lab.Grouped(int(r.TokensPerSecond)))},
				{"products", fmt.Sprintf("%.3g TFLOP/s, %.0f%% of the device's %.3g on one large product", r.TFLOPs, 100*r.PeakShare, r.PeakTFLOPs)},
			}
			if r.MemoryBytes > 0 {
				rows = append(rows, []string{"memory", fmt.Sprintf("%.2f GiB at the peak, as XLA planned it", float64(r.MemoryBytes)/(1<<30))})
			}
			for _, d := range r.Decisions {
				taken := "its definition"
				if d.Kernel > 0 {
					taken = "its CUDA kernel"
				}
				if d.Reason != "" {
					taken += " (" + d.Reason + ")"
				}
				rows = append(rows, []string{d.Operation, taken})
			}
			return repl.WriteTable(os.Stdout, []string{"what", "value"}, rows)
		},
	}
	command.Flags().BoolVar(&o.Step, "step", false, "measure whole optimizer steps, not forward and backward alone")
	command.Flags().IntVar(&o.Repeats, "repeats", 5, "runs to take the median of")
	command.Flags().Float64Var(&o.PeakTFLOPs, "peak", 0, "the device's matrix peak in TFLOP/s; 0 measures it")
	command.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	addModelFlags(command, "backend", "batch", "accumulate", "checkpoint")
	return command
}

func benchKernel(name string) *cobra.Command {
	called := map[string]string{"scan": "the selective scan", "conv": "the causal convolution with its SiLU", "attention": "causal attention"}[name]
	shape := bench.KernelShape{}
	var backend string
	var repeats int
	var asJSON bool
	command := &cobra.Command{
		Use:   name,
		Short: "Measure " + called + " by itself, forward and backward",
		Args:  atMost(0, "no argument"),
		RunE: func(command *cobra.Command, _ []string) error {
			r, err := bench.Kernel(command.Context(), name, backend, shape, repeats)
			if err != nil {
				return err
			}
			if asJSON {
				return printJSON(os.Stdout, r)
			}
			return repl.WriteTable(os.Stdout, []string{"what", "value"}, [][]string{
				{"forward", fmt.Sprintf("%.3f ms", r.ForwardMs)},
				{"forward and backward", fmt.Sprintf("%.3f ms", r.BothMs)},
				{"traffic", fmt.Sprintf("%.0f GB/s of the %.0f MB that must move", r.GBPerSecond, float64(r.Bytes)/1e6)},
			})
		},
	}
	flags := command.Flags()
	flags.IntVar(&shape.Batch, "batch", 8, "rows")
	flags.IntVar(&shape.Time, "context", 2048, "tokens of a row")
	switch name {
	case "attention":
		flags.IntVar(&shape.Heads, "heads", 10, "heads")
		flags.IntVar(&shape.Channels, "head_dim", 128, "channels of a head")
	case "scan":
		flags.IntVar(&shape.Channels, "inner", 2560, "channels")
		flags.IntVar(&shape.States, "state", 16, "states of a channel")
	default:
		flags.IntVar(&shape.Channels, "inner", 2560, "channels")
		flags.IntVar(&shape.Taps, "conv", 4, "taps")
	}
	flags.IntVar(&repeats, "repeats", 20, "runs to take the median of")
	flags.StringVar(&backend, "backend", "auto", "auto, go, cpu, cuda, or a GoMLX configuration")
	flags.BoolVar(&asJSON, "json", false, "print JSON")
	return command
}
