package lab

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"

	"tandem/workbench/chat"
	"tandem/workbench/data"
)

// ConversationFormats says in words what files of conversations a tuning reads.
func ConversationFormats() string { return chat.Formats() }

// Conversations counts what a tuning was given and what became of it.
type Conversations struct {
	Data string `json:"data"`
	// Read are Train, Validation and Skipped together.
	Read int `json:"read"`
	// Train are to be learned; they have so many tokens, Targets of them the assistant's.
	Train   int   `json:"train"`
	Tokens  int64 `json:"tokens"`
	Targets int64 `json:"targets"`
	// Validation are held out, about one in data.ValidationShare.
	Validation int `json:"validation"`
	// Skipped are those that cannot be learned from, by reason.
	Skipped []SkippedConversations `json:"skipped,omitempty"`
}

// SkippedConversations are those skipped for one reason.
type SkippedConversations struct {
	Reason string `json:"reason"`
	Count  int    `json:"count"`
	// First says where the first one is, and what is wrong with it.
	First string `json:"first"`
}

const tooLong = "longer than the context"

// skip counts one conversation.
func (c *Conversations) skip(reason, first string) {
	i := slices.IndexFunc(c.Skipped, func(s SkippedConversations) bool { return s.Reason == reason })
	if i < 0 {
		i = len(c.Skipped)
		c.Skipped = append(c.Skipped, SkippedConversations{Reason: reason, First: first})
	}
	c.Skipped[i].Count++
}

// String tells the counts in one line.
func (c Conversations) String() string {
	line := fmt.Sprintf("conversations %s: %d to learn (%.2fM tokens, %.2fM of them the assistant's), %d held out",
		c.Data, c.Train, float64(c.Tokens)/1e6, float64(c.Targets)/1e6, c.Validation)
	for _, skipped := range c.Skipped {
		line += fmt.Sprintf("; skipped %d: %s (%s)", skipped.Count, skipped.Reason, skipped.First)
	}
	return line
}

// conversations are rendered and ready to be packed.
type conversations struct {
	Conversations
	train, held *data.Masked
	// question is the first of those held out, or else of those to learn: one to ask in training.
	question string
	asked    bool // it is of one held out
}

// readConversations reads what spec names and renders it for rows of so many tokens. It is an error if nothing remains.
func readConversations(ctx context.Context, spec string, template *chat.Template, room int, say func(string)) (*conversations, error) {
	bos := template.Tokenizer().BOS()
	c := &conversations{train: data.NewMasked(bos, room), held: data.NewMasked(bos, room)}
	c.Data = spec
	for batch, err := range inBatches(examples(ctx, spec, say), &c.Conversations) {
		if err == nil {
			err = ctx.Err()
		}
		if err == nil {
			err = c.add(batch, template)
		}
		if err != nil {
			return nil, err
		}
	}
	c.Train, c.Validation = c.train.Documents(), c.held.Documents()
	c.Tokens, c.Targets = c.train.Tokens(), c.train.Targets()
	if c.Train == 0 {
		var reasons []string
		for _, skipped := range c.Skipped {
			reasons = append(reasons, fmt.Sprintf("%d: %s (%s)", skipped.Count, skipped.Reason, skipped.First))
		}
		return nil, fmt.Errorf("conversations %s: none of %d is left to learn, %d held out, skipped %s; give others, or a model with a longer context",
			spec, c.Read, c.Validation, cmp.Or(strings.Join(reasons, "; "), "none"))
	}
	return c, nil
}

// add renders examples on every core and takes them up in their order.
func (c *conversations) add(batch []chat.Example, template *chat.Template) error {
	rendered := make([]chat.Rendered, len(batch))
	problems := make([]error, len(batch))
	var group sync.WaitGroup
	cores := runtime.GOMAXPROCS(0)
	for core := range cores {
		group.Go(func() {
			for i := core; i < len(batch); i += cores {
				rendered[i], problems[i] = template.Render(batch[i].Conversation)
			}
		})
	}
	group.Wait()
	for i, example := range batch {
		if problems[i] != nil {
			c.skip(chat.BadContent, fmt.Sprintf("%s: %v", example.At, problems[i]))
			continue
		}
		split := data.SplitOf(example.Key)
		into := c.train
		if split == data.Validation {
			into = c.held
		}
		err := into.Add(rendered[i].Tokens, rendered[i].Mask)
		switch {
		case errors.Is(err, data.ErrTooLong):
			c.skip(tooLong, fmt.Sprintf("%s: %v", example.At, err))
			continue
		case err != nil:
			return fmt.Errorf("%s: %w", example.At, err)
		}
		if c.question == "" || !c.asked && split == data.Validation {
			c.question, c.asked = firstQuestion(example), split == data.Validation
		}
	}
	return nil
}

// firstQuestion is what the user says first.
func firstQuestion(e chat.Example) string {
	i := slices.IndexFunc(e.Messages, func(m chat.Message) bool { return m.Role == chat.User })
	return e.Messages[i].Content.Text()
}

// exampleBatch is the examples that are rendered together.
const exampleBatch = 1024

// inBatches gathers examples and counts those that are refused.
func inBatches(all iter.Seq2[chat.Example, error], count *Conversations) iter.Seq2[[]chat.Example, error] {
	return func(yield func([]chat.Example, error) bool) {
		var batch []chat.Example
		for example, err := range all {
			var refused *chat.Refused
			if err != nil && !errors.As(err, &refused) {
				yield(nil, err)
				return
			}
			count.Read++
			if refused != nil {
				count.skip(refused.Reason, fmt.Sprintf("%s: %v", refused.At, refused.Err))
				continue
			}
			if batch = append(batch, example); len(batch) == exampleBatch {
				if !yield(batch, nil) {
					return
				}
				batch = nil
			}
		}
		if len(batch) > 0 {
			yield(batch, nil)
		}
	}
}

// examples streams the conversations of all that spec lists, with commas between.
func examples(ctx context.Context, spec string, say func(string)) iter.Seq2[chat.Example, error] {
	return func(yield func(chat.Example, error) bool) {
		for _, part := range strings.Split(spec, ",") {
			for example, err := range examplesOf(ctx, strings.TrimSpace(part), say) {
				if !yield(example, err) {
					return
				}
			}
		}
	}
}

func examplesOf(ctx context.Context, spec string, say func(string)) iter.Seq2[chat.Example, error] {
	if spec == data.QuestionsSpec || strings.HasPrefix(spec, data.QuestionsSpec+":") {
		return askedOf(spec)
	}
	if strings.HasPrefix(spec, "hf:") || data.FindPreset(spec) != nil || isParquet(spec) {
		return rowsOf(ctx, spec, say)
	}
	return func(yield func(chat.Example, error) bool) {
		files, err := conversationFiles(spec)
		if err != nil {
			yield(chat.Example{}, err)
			return
		}
		for _, file := range files {
			found := chat.Read(file)
			if isParquet(file) {
				found = rowsOf(ctx, file, say)
			}
			for example, err := range found {
				if !yield(example, err) {
					return
				}
			}
		}
	}
}

// isParquet goes by the name, after which the number of rows may stand: data.parquet[:1000].
func isParquet(spec string) bool {
	path, _, _ := strings.Cut(spec, "[:")
	return strings.EqualFold(filepath.Ext(path), ".parquet")
}

// rowsOf takes each row of a corpus for a conversation.
func rowsOf(ctx context.Context, spec string, say func(string)) iter.Seq2[chat.Example, error] {
	return func(yield func(chat.Example, error) bool) {
		number := 0
		for row, err := range data.Rows(ctx, spec, data.Options{Say: say, Progress: downloads(say)}) {
			var example chat.Example
			if number++; err == nil {
				example, err = chat.Parse(row, fmt.Sprintf("%s:%d", spec, number))
			}
			if !yield(example, err) {
				return
			}
		}
	}
}

// askedOf makes conversations of one question and its answer. Questions about one symbol stay on one side of the split.
func askedOf(spec string) iter.Seq2[chat.Example, error] {
	return func(yield func(chat.Example, error) bool) {
		for q, err := range data.Questions(spec) {
			c := chat.Conversation{}.With(chat.User, q.Question).With(chat.Assistant, q.Answer)
			if !yield(chat.Example{Conversation: c, At: q.At, Key: q.Symbol}, err) {
				return
			}
		}
	}
}

// conversationFiles lists the file, those of the folder, or those that match.
func conversationFiles(spec string) ([]string, error) {
	remedy := fmt.Sprintf("give %s, %s:PACKAGE, a .jsonl, .json or .parquet file, a folder or glob, or hf:OWNER/NAME, of conversations: %s", data.QuestionsSpec, data.QuestionsSpec, chat.Formats())
	info, err := os.Stat(spec)
	if err == nil && !info.IsDir() {
		return []string{spec}, nil
	}
	var files []string
	switch {
	case err == nil:
		for _, pattern := range []string{"*.jsonl", "*.ndjson", "*.json", "*.parquet"} {
			found, _ := fs.Glob(os.DirFS(spec), pattern) // the pattern is well formed
			for _, name := range found {
				files = append(files, filepath.Join(spec, name))
			}
		}
		slices.Sort(files)
	case errors.Is(err, fs.ErrNotExist) && strings.ContainsAny(spec, "*?["):
		if files, err = filepath.Glob(spec); err != nil {
			return nil, fmt.Errorf("open conversations %q: %w; %s", spec, err, remedy)
		}
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("open conversations %q: no such file or folder; %s", spec, remedy)
	default:
		return nil, fmt.Errorf("open conversations %q: %w; %s", spec, err, remedy)
	}
	if len(files) == 0 {
		return nil, fmt.Errorf("open conversations %q: no files found; %s", spec, remedy)
	}
	return files, nil
}
