package repl

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"text/tabwriter"

	"tandem/workbench/lab"
)

// slashCommand is a command within a chat. argument is "" if none was given.
type slashCommand struct {
	name, usage, help string
	run               func(t *Talk, argument string) error
}

// slashCommands are in the order of /help.
var slashCommands []slashCommand

func init() { // it refers to itself in /help
	slashCommands = []slashCommand{
		{"help", "", "list the commands", (*Talk).help},
		{"clear", "", "begin a new conversation; the system message stays", (*Talk).clear},
		{"save", "FILE", "write the conversation as JSON", (*Talk).save},
		{"load", "FILE", "go on from a conversation that was saved", (*Talk).load},
		{"system", "[TEXT|none]", "show or set the system message", (*Talk).system},
		{"temperature", "[NUMBER]", "show or set it; 0 takes the likeliest token each time", (*Talk).temperature},
		{"top_k", "[COUNT]", "show or set among how many tokens to choose; 0 is all", (*Talk).topK},
		{"top_p", "[NUMBER]", "show or set the probability that the tokens to choose among reach; 0 is all", (*Talk).topP},
		{"stats", "", "tokens/s, tokens and bytes of state", (*Talk).stats},
		{"quit", "", "leave; so does Ctrl-D", func(*Talk, string) error { return errQuit }},
	}
}

// command runs a line without its slash.
func (t *Talk) command(line string) error {
	name, argument, _ := strings.Cut(line, " ")
	argument = strings.TrimSpace(argument)
	var names []string
	for _, command := range slashCommands {
		if command.name != name {
			names = append(names, "/"+command.name)
			continue
		}
		switch {
		case command.usage == "" && argument != "":
			return fmt.Errorf("/%s takes no argument, not %q", name, argument)
		case command.usage == "FILE" && argument == "":
			return fmt.Errorf("/%s needs the name of a file", name)
		}
		return command.run(t, argument)
	}
	return fmt.Errorf("unknown command %q; there are %s; a message may begin with //", "/"+name, strings.Join(names, " "))
}

func (t *Talk) help(string) error {
	table := tabwriter.NewWriter(t.Notes, 0, 0, 2, ' ', 0)
	for _, command := range slashCommands {
		fmt.Fprintf(table, "/%s\t%s\n", strings.TrimSpace(command.name+" "+command.usage), command.help)
	}
	for _, key := range [][2]string{
		{"Ctrl-C", "stop the answer, or drop the line; again at the prompt leaves"},
		{"Alt-Enter", "a new line in the message; pasted ones are kept"},
		{"up, down", "messages from before"},
	} {
		fmt.Fprintf(table, "%s\t%s\n", key[0], key[1])
	}
	return table.Flush()
}

func (t *Talk) clear(string) error {
	t.Session.Clear()
	fmt.Fprintln(t.Notes, "a new conversation")
	return nil
}

func (t *Talk) save(file string) error {
	encoded, err := json.MarshalIndent(t.Session.Conversation(), "", "  ")
	if err != nil {
		return fmt.Errorf("/save %s: %w", file, err)
	}
	if err := os.WriteFile(file, append(encoded, '\n'), 0o644); err != nil {
		return fmt.Errorf("/save: %w", err)
	}
	fmt.Fprintf(t.Notes, "%d messages saved to %s\n", len(t.Session.Conversation().Messages), file)
	return nil
}

// maxSaved is the bytes of a saved conversation at most.
const maxSaved = 64 << 20

func (t *Talk) load(name string) error {
	file, err := os.Open(name)
	if err != nil {
		return fmt.Errorf("/load: %w", err)
	}
	defer file.Close()
	encoded, err := io.ReadAll(io.LimitReader(file, maxSaved))
	if err != nil {
		return fmt.Errorf("/load: %w", err)
	}
	var conversation lab.Conversation
	if err := json.Unmarshal(encoded, &conversation); err != nil {
		return fmt.Errorf("/load %s: it is no conversation: %w; give a file that /save wrote", name, err)
	}
	if len(conversation.Messages) == 0 { // of another kind of file as well
		return fmt.Errorf("/load %s: it has no messages; give a file that /save wrote, or begin anew with /clear", name)
	}
	if err := t.Session.SetConversation(conversation); err != nil {
		return fmt.Errorf("/load %s: %w", name, err)
	}
	fmt.Fprintf(t.Notes, "%d messages loaded from %s\n", len(conversation.Messages), name)
	return nil
}

func (t *Talk) system(text string) error {
	if text != "" {
		if text == "none" {
			text = ""
		}
		if err := t.Session.SetSystem(text); err != nil {
			return fmt.Errorf("/system: %w", err)
		}
	}
	if text = t.Session.System(); text == "" {
		text = "(none)"
	}
	fmt.Fprintln(t.Notes, "system:", text)
	return nil
}

func (t *Talk) temperature(text string) error {
	changed := t.Options
	if text != "" {
		value, err := strconv.ParseFloat(text, 64)
		if err != nil {
			return fmt.Errorf("/temperature %q: must be a number such as 0.8", text)
		}
		changed.Sampling.Temperature = value
	}
	return t.set("temperature", changed, func() any { return t.Options.Sampling.Temperature })
}

func (t *Talk) topK(text string) error {
	changed := t.Options
	if text != "" {
		value, err := strconv.Atoi(text)
		if err != nil {
			return fmt.Errorf("/top_k %q: must be a whole number such as 50; 0 is all", text)
		}
		changed.Sampling.TopK = value
	}
	return t.set("top_k", changed, func() any { return t.Options.Sampling.TopK })
}

func (t *Talk) topP(text string) error {
	changed := t.Options
	if text != "" {
		value, err := strconv.ParseFloat(text, 64)
		if err != nil {
			return fmt.Errorf("/top_p %q: must be a number such as 0.9; 0 is all", text)
		}
		changed.Sampling.TopP = value
	}
	return t.set("top_p", changed, func() any { return t.Options.Sampling.TopP })
}

// set takes over valid options and shows one of them.
func (t *Talk) set(name string, options lab.ChatOptions, value func() any) error {
	if err := options.Validate(); err != nil {
		return fmt.Errorf("/%s: %w", name, err)
	}
	t.Options = options
	fmt.Fprintf(t.Notes, "%s: %v\n", name, value())
	return nil
}

func (t *Talk) stats(string) error {
	s := t.Session.Stats()
	table := tabwriter.NewWriter(t.Notes, 0, 0, 2, ' ', 0)
	for _, row := range [][2]string{
		{"speed", fmt.Sprintf("%.1f tokens/s, %d ms to the first token", s.Last.TokensPerSecond(), s.Last.First.Milliseconds())},
		{"last answer", fmt.Sprintf("%d tokens after a prompt of %d, %d of them not fed again", s.Last.Answer, s.Last.Prompt, s.Last.Reused)},
		{"conversation", fmt.Sprintf("%d messages, %d tokens; the context is %d", s.Messages, s.Tokens, s.Capacity)},
		{"state", fmt.Sprintf("%s bytes a row, %s kept for the next turn", lab.Grouped(int(s.RowBytes)), lab.Grouped(int(s.StateBytes)))},
	} {
		fmt.Fprintf(table, "%s\t%s\n", row[0], row[1])
	}
	return table.Flush()
}
