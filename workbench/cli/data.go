package cli

import (
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/schollz/progressbar/v3"
	"github.com/spf13/cobra"

	"tandem/workbench/lab"
	"tandem/workbench/repl"
)

func dataCommand() *cobra.Command {
	command := &cobra.Command{
		Use:   "data",
		Short: "List the corpora that have a name, look at a corpus, or download one",
		Long: `Data is what --data takes: a file, a folder or a glob of text, JSON lines or parquet; godoc or gosrc, the
documentation and the source of Go, whole or as gosrc:PACKAGE and gosrc:./FOLDER; a dataset of the
Hugging Face hub, hf:OWNER/NAME[@REVISION][:CONFIG][:SPLIT][:COLUMN]; a preset; or a mixture with a weight for each part:
hf:OWNER/NAME=0.7,file.jsonl=0.3. The column of a file is named as file.jsonl:COLUMN; [:N] ends a corpus after N rows.

The hub's own variables are heeded: HF_ENDPOINT, HF_TOKEN, HF_TOKEN_PATH, HF_HOME, HF_HUB_CACHE and HF_HUB_OFFLINE.`,
		Args: subCommand("list, show and fetch"),
		RunE: func(command *cobra.Command, _ []string) error { return command.Help() },
	}
	command.AddCommand(dataList(), dataShow(), dataFetch())
	return command
}

func dataList() *cobra.Command {
	var asJSON bool
	command := &cobra.Command{
		Use:   "list",
		Short: "List the presets and their licences",
		Args:  atMost(0, "no argument"),
		RunE: func(*cobra.Command, []string) error {
			if asJSON {
				return printJSON(os.Stdout, lab.Presets())
			}
			var rows [][]string
			for _, preset := range lab.Presets() {
				rows = append(rows, []string{preset.Name, preset.Licence, preset.URL, preset.About})
			}
			return repl.WriteTable(os.Stdout, []string{"name", "licence", "page", "what it is"}, rows)
		},
	}
	command.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return command
}

// oneSpec is a check of arguments.
func oneSpec(command *cobra.Command, arguments []string) error {
	if len(arguments) != 1 {
		return usageError{fmt.Errorf("%s: it takes one SPEC, such as climbmix or notes.jsonl; workbench data --help lists the forms", called(command))}
	}
	return nil
}

func dataShow() *cobra.Command {
	var asJSON bool
	var first int
	command := &cobra.Command{
		Use:   "show SPEC",
		Short: "Tell the size, columns and first documents of a corpus",
		Args:  oneSpec,
		RunE: func(command *cobra.Command, arguments []string) error {
			found, err := lab.ShowData(command.Context(), arguments[0], first, newProgress(os.Stderr).say)
			if err != nil {
				return err
			}
			if asJSON {
				return printJSON(os.Stdout, found)
			}
			for _, description := range found {
				printDescription(os.Stdout, description)
			}
			return nil
		},
	}
	command.Flags().IntVar(&first, "first", 3, "documents to show")
	command.Flags().BoolVar(&asJSON, "json", false, "print JSON, with whole documents")
	return command
}

func printDescription(out io.Writer, d lab.DataDescription) {
	fmt.Fprintln(out, d.Name)
	line := func(name, format string, values ...any) {
		if text := fmt.Sprintf(format, values...); text != "" {
			fmt.Fprintf(out, "  %-10s %s\n", name, text)
		}
	}
	if d.Dataset != "" {
		line("dataset", "%s", d.Dataset)
		line("licence", "%s", d.Licence)
		line("reads", "%s:%s", d.Config, d.Split)
		line("has", "%s", strings.Join(d.Others, "  "))
	}
	if d.Files > 0 {
		line("files", "%d, %s", d.Files, size(d.Bytes))
	}
	if d.Documents >= 0 {
		line("documents", "%s", lab.Grouped(int(d.Documents)))
	} else {
		line("documents", "not known until all files are here; workbench data fetch gets them")
	}
	line("columns", "%s", strings.Join(d.Columns, ", "))
	for _, text := range d.First {
		text = strings.Join(strings.Fields(text), " ")
		if letters := []rune(text); len(letters) > 100 {
			text = string(letters[:100]) + "…"
		}
		line("document", "%s", text)
	}
}

func dataFetch() *cobra.Command {
	return &cobra.Command{
		Use:   "fetch SPEC",
		Short: "Download the files of a corpus into the hub's cache",
		Args:  oneSpec,
		RunE: func(command *cobra.Command, arguments []string) error {
			view := newProgress(os.Stderr)
			files, err := lab.FetchData(command.Context(), arguments[0], view.say, view.download)
			view.close()
			if err != nil {
				return err
			}
			switch files {
			case 0:
				fmt.Printf("%s: there is nothing to download\n", arguments[0])
			case 1:
				fmt.Printf("%s: 1 file is here\n", arguments[0])
			default:
				fmt.Printf("%s: %d files are here\n", arguments[0], files)
			}
			return nil
		},
	}
}

// download shows the bytes of one file after the other: a bar on a terminal, a line for each elsewhere.
func (p *progress) download(d lab.Download) {
	if !p.terminal {
		if d.Done == d.Size {
			p.say(fmt.Sprintf("downloaded %s, %s", d.File, size(d.Size)))
		}
		return
	}
	if p.bar == nil || d.File != p.file {
		p.close()
		p.file = d.File
		p.bar = progressbar.NewOptions64(d.Size, progressbar.OptionSetWriter(p.out), progressbar.OptionSetWidth(24),
			progressbar.OptionShowBytes(true), progressbar.OptionSetDescription(d.File))
	}
	p.bar.Set64(d.Done)
}

// size writes a number of bytes for people.
func size(bytes int64) string {
	if bytes < 1e6 {
		return fmt.Sprintf("%.1f kB", float64(bytes)/1e3)
	}
	return fmt.Sprintf("%.1f MB", float64(bytes)/1e6)
}
