package repl

import (
	"context"
	"fmt"
	"strings"

	"tandem/workbench/lab"
)

// verb is a word that the prompt knows.
type verb struct {
	// usage is what follows the name, help what it does, in a line.
	name, usage, help string
	// examples are lines that work after those of the verbs before it.
	examples []string
	// flags are its own, those that take a value with = behind them; with keys every key of the configuration is one too.
	flags []string
	keys  bool
	// limit is how many words it takes, -1 any number. A verbatim verb gets its text as it was typed.
	limit    int
	verbatim bool
	// complete lists what its words may be.
	complete func() []string
	run      func(p *Prompt, ctx context.Context, a arguments) error
}

// verbs are in the order of help, which is that of a first session.
var verbs []verb

func init() { // help refers to them
	verbs = []verb{
		{name: "pattern", usage: "[PATTERN]", help: "show or set the pattern of blocks",
			examples: []string{"pattern T12 M8", "pattern (TM)4", "pattern"}, limit: -1, run: (*Prompt).pattern},
		{name: "set", usage: "[KEY [VALUE]]", help: "list the settings that were changed, show one, or change it",
			examples: []string{"set width 256", "set batch 2", "set width", "set"}, limit: -1, complete: lab.ConfigKeys, run: (*Prompt).set},
		{name: "config", usage: "[CONFIG] [--KEY VALUE …]", help: "show every setting and where it comes from",
			examples: []string{"config", "config rtx3070_d16"}, keys: true, limit: 1, complete: lab.ConfigNames, run: (*Prompt).config},
		{name: "params", usage: "[CONFIG] [--KEY VALUE …]", help: "count the parameters by block",
			examples: []string{"params", "params --pattern M8"}, keys: true, limit: 1, complete: lab.ConfigNames, run: (*Prompt).params},
		{name: "memory", usage: "[CONFIG] [--gpu NAME] [--KEY VALUE …]", help: "predict a training's memory and speed on a GPU, and the memory of inference",
			examples: []string{"memory", "memory --gpu rtx4090 --batch 4 --context 1024"}, flags: []string{"gpu="}, keys: true, limit: 1,
			complete: lab.ConfigNames, run: (*Prompt).memory},
		{name: "save", usage: "FILE.yaml", help: "write the settings as a configuration; a training saves its checkpoints itself",
			examples: []string{"save mine.yaml"}, limit: 1, run: (*Prompt).save},
		{name: "load", usage: "RUN|CONFIG", help: "make a run the current one, with its settings, or take a configuration's",
			examples: []string{"load mine.yaml", "load tiny"}, limit: 1, complete: runsAndConfigs, run: (*Prompt).load},
		{name: "train", usage: "[--resume] [--detach] [--KEY VALUE …]", help: "train in the session, and watch until Ctrl-C, or not with --detach; --resume goes on with the current run",
			examples: []string{"train --steps 20", "train --minutes 5", "train --resume --steps 40 --detach"}, flags: []string{"resume", "detach"},
			keys: true, run: (*Prompt).train},
		{name: "stop", usage: "[RUN]", help: "stop a training, with a checkpoint",
			examples: []string{"stop"}, limit: 1, complete: runNames, run: (*Prompt).stop},
		{name: "watch", usage: "[RUN]", help: "show a training from its first step, until it ends or Ctrl-C",
			examples: []string{"watch"}, limit: 1, complete: runNames, run: (*Prompt).watch},
		{name: "plot", usage: "[RUN|PATTERN …] [FILE.svg|FILE.png]", help: "draw the loss of the current run, or of others, here or to a file",
			examples: []string{"plot", "plot loss.svg"}, limit: -1, complete: runNames, run: (*Prompt).plot},
		{name: "runs", help: "list the runs, newest first",
			examples: []string{"runs"}, run: func(p *Prompt, _ context.Context, _ arguments) error { return WriteRuns(p.out) }},
		{name: "compare", usage: "[RUN|PATTERN …]", help: "put runs side by side; a pattern stands for its newest run",
			examples: []string{"compare", `compare "(TM)4" M8`}, limit: -1, complete: runNames, run: (*Prompt).compare},
		{name: "sample", usage: "[TEXT] [--tokens N] [--temperature X] [--top_k N] [--top_p X] [--seed N]", help: "continue a text with the current run",
			examples: []string{"sample The cat", `sample "The cat" --tokens 8 --temperature 0`},
			flags:    []string{"tokens=", "temperature=", "top_k=", "top_p=", "seed="}, limit: -1, run: (*Prompt).sample},
		{name: "chat", usage: "[MESSAGE]", help: "say something to the current run, or talk to it until /quit",
			examples: []string{"chat What does strings.Cut return?"}, verbatim: true, run: (*Prompt).chat},
		{name: "session", help: "show what the session holds and does",
			examples: []string{"session"}, run: (*Prompt).session},
		{name: "help", usage: "[VERB]", help: "list the verbs, or explain one",
			examples: []string{"help", "help train"}, limit: 1, complete: verbNames, run: (*Prompt).help},
		{name: "quit", help: "leave; so does Ctrl-D. A training goes on in the session",
			examples: []string{"quit"}, run: func(*Prompt, context.Context, arguments) error { return errQuit }},
	}
}

func verbNames() (names []string) {
	for _, v := range verbs {
		names = append(names, v.name)
	}
	return names
}

func findVerb(name string) (verb, error) {
	for _, v := range verbs {
		if v.name == name {
			return v, nil
		}
	}
	return verb{}, fmt.Errorf("unknown verb %q; %sthere are %s", name, lab.DidYouMean(name, verbNames()), strings.Join(verbNames(), ", "))
}

func (p *Prompt) help(_ context.Context, a arguments) error {
	if len(a.words) == 0 {
		var rows [][]string
		for _, v := range verbs {
			rows = append(rows, []string{v.name, v.help})
		}
		return lab.Table{Rows: append(rows, []string{"", "help VERB gives examples"})}.Write(p.out)
	}
	v, err := findVerb(a.words[0])
	if err != nil {
		return err
	}
	fmt.Fprintf(p.out, "%s\n  %s\n", strings.TrimSpace(v.name+" "+v.usage), v.help)
	if v.keys {
		fmt.Fprintln(p.out, "  a KEY is one of the configuration's, and changed for this once; config lists them, set changes one for good")
	}
	fmt.Fprintln(p.out, "for example:")
	for _, example := range v.examples {
		fmt.Fprintln(p.out, "  "+example)
	}
	return nil
}

// complete lists what the last word of a line may become.
func (p *Prompt) complete(before string) []string {
	if p.chatting {
		return p.talk.complete(before)
	}
	name, rest, begun := strings.Cut(strings.TrimLeft(before, " "), " ")
	if !begun {
		return verbNames()
	}
	v, err := findVerb(name)
	if err != nil {
		return nil
	}
	typed := strings.Fields(" " + rest + ".") // the last word is there even if it is empty
	word, last := typed[len(typed)-1], ""
	if len(typed) > 1 {
		last = typed[len(typed)-2]
	}
	switch {
	case last == "--gpu":
		return lab.GPUNames()
	case strings.HasPrefix(word, "--"):
		return v.flagNames()
	case strings.HasPrefix(last, "--") && last != "--resume" && last != "--detach":
		return nil
	case v.complete != nil:
		return v.complete()
	}
	return nil
}

func (v verb) flagNames() (names []string) {
	for _, flag := range v.flags {
		names = append(names, "--"+strings.TrimSuffix(flag, "="))
	}
	if v.keys {
		for _, key := range lab.ConfigKeys() {
			names = append(names, "--"+key)
		}
	}
	return names
}

// runNames lists the runs as one types them; those that cannot be listed cannot be completed.
func runNames() (names []string) {
	runs, _ := lab.Runs()
	for _, run := range runs {
		name := run.Name
		if strings.ContainsAny(name, " \t;") {
			name = `"` + name + `"`
		}
		names = append(names, name)
	}
	return names
}

func runsAndConfigs() []string { return append(runNames(), lab.ConfigNames()...) }
