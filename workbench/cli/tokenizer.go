package cli

import (
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"tandem/workbench/lab"
)

func tokenizerCommand() *cobra.Command {
	command := &cobra.Command{
		Use:   "tokenizer",
		Short: "Train a tokenizer, or use one",
		Args:  subCommand("train, encode and decode"),
		RunE:  func(command *cobra.Command, _ []string) error { return command.Help() },
	}
	command.AddCommand(tokenizerTrain(), tokenizerEncode(), tokenizerDecode())
	return command
}

func tokenizerTrain() *cobra.Command {
	var spec, out string
	var vocab int
	command := &cobra.Command{
		Use:   "train",
		Short: "Train a byte-level BPE tokenizer and write tokenizer.json",
		Args:  atMost(0, "no argument"),
		RunE: func(command *cobra.Command, _ []string) error {
			trained, err := lab.TrainTokenizer(command.Context(), spec, vocab)
			if err != nil {
				return err
			}
			if err := trained.Save(out); err != nil {
				return err
			}
			fmt.Printf("%s: %d tokens\n", out, trained.VocabSize())
			return nil
		},
	}
	command.Flags().StringVar(&spec, "data", "godoc", "corpus to train on")
	command.Flags().IntVar(&vocab, "vocab", 32768, "tokens, of which 256 are bytes and 9 special")
	command.Flags().StringVar(&out, "out", "tokenizer.json", "file to write")
	return command
}

func tokenizerEncode() *cobra.Command {
	var run string
	command := &cobra.Command{
		Use:   "encode [TEXT]",
		Short: "Print the token ids of TEXT, or of standard input",
		Args:  atMost(1, "one TEXT"),
		RunE: func(_ *cobra.Command, arguments []string) error {
			tok, err := lab.OpenTokenizer(run)
			if err != nil {
				return err
			}
			text, err := argumentOrInput(arguments)
			if err != nil {
				return err
			}
			var ids []string
			for _, id := range tok.Encode(text) {
				ids = append(ids, strconv.Itoa(int(id)))
			}
			_, err = fmt.Println(strings.Join(ids, " "))
			return err
		},
	}
	command.Flags().StringVar(&run, "run", "", "a run, or a tokenizer.json; the newest run without it")
	return command
}

func tokenizerDecode() *cobra.Command {
	var run string
	command := &cobra.Command{
		Use:   "decode [IDS]",
		Short: "Print the text of token ids, separated by spaces, or of those on standard input",
		RunE: func(_ *cobra.Command, arguments []string) error {
			tok, err := lab.OpenTokenizer(run)
			if err != nil {
				return err
			}
			text, err := argumentOrInput([]string{strings.Join(arguments, " ")}[:min(1, len(arguments))])
			if err != nil {
				return err
			}
			var ids []int32
			for _, field := range strings.Fields(text) {
				id, err := strconv.ParseInt(field, 10, 32)
				if err != nil || id < 0 || int(id) >= tok.VocabSize() {
					return usageError{fmt.Errorf("tokenizer decode: %q is no token id; they go from 0 to %d", field, tok.VocabSize()-1)}
				}
				ids = append(ids, int32(id))
			}
			_, err = fmt.Println(tok.Decode(ids))
			return err
		},
	}
	command.Flags().StringVar(&run, "run", "", "a run, or a tokenizer.json; the newest run without it")
	return command
}

// argumentOrInput is the one argument, or all of standard input.
func argumentOrInput(arguments []string) (string, error) {
	if len(arguments) > 0 {
		return arguments[0], nil
	}
	text, err := io.ReadAll(os.Stdin)
	if err != nil {
		return "", fmt.Errorf("read standard input: %w", err)
	}
	return string(text), nil
}
