package cli

import (
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"tandem/workbench/lab"
)

func benchDecode() *cobra.Command {
	var o lab.DecodeOptions
	var asJSON bool
	command := &cobra.Command{
		Use:   "decode [CONFIG]",
		Short: "Measure prefill and decoding of a model with random weights",
		Args:  atMost(1, "one CONFIG"),
		RunE: func(command *cobra.Command, arguments []string) error {
			loaded, err := loadConfig(command, arguments)
			if err != nil {
				return err
			}
			b, err := lab.BenchDecode(command.Context(), loaded, o, func(line string) { fmt.Fprintln(os.Stderr, line) })
			if err != nil {
				return err
			}
			if asJSON {
				return printJSON(os.Stdout, b)
			}
			return printTable(os.Stdout, []string{"what", "value"}, [][]string{
				{"model", fmt.Sprintf("%s, %d rows after %d tokens each", b.Pattern, b.Rows, b.Prompt)},
				{"prefill", fmt.Sprintf("%s tokens/s; first tokens after %.1f ms", grouped(int(b.PrefillTokensPerSecond)), 1000*b.FirstSeconds)},
				{"decoding", fmt.Sprintf("%s tokens/s; a token a row every %.2f ms", grouped(int(b.TokensPerSecond)), b.MillisecondsPerToken)},
				{"state", fmt.Sprintf("%s bytes a row", grouped(int(b.StateBytes)))},
				{"traffic", fmt.Sprintf("%.1f GB/s of weights and states", b.GBPerSecond)},
			})
		},
	}
	command.Flags().IntVar(&o.Rows, "rows", 1, "rows decoded together")
	command.Flags().IntVar(&o.Prompt, "prompt", 16, "tokens of each row's prompt")
	command.Flags().IntVar(&o.Tokens, "tokens", 64, "tokens to draw for each row")
	command.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	addConfigFlags(command)
	return command
}
