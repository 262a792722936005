package chat

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"slices"
)

// Example is a conversation to learn from. It is valid, and the assistant says something in it.
type Example struct {
	Conversation
	// At is where it was read, as FILE:LINE.
	At string
	// Key is what examples about the same thing share; of those that Read gives, what the user says first.
	Key string
}

// The reasons for which a conversation is no Example.
const (
	WrongRoles  = "wrong roles"         // one that does not exist, or not in turn
	NoAssistant = "no assistant turn"   // nothing to learn
	EmptyAnswer = "empty answer"        // an assistant turn without content of its own
	BadContent  = "unsupported content" // of another kind than text and calls of Python, or an empty question
)

// Refused says why one conversation of a file is no Example; those after it can still be read.
type Refused struct {
	At     string // FILE:LINE
	Reason string // one of those above
	Err    error
}

func (r *Refused) Error() string { return fmt.Sprintf("%s: %s: %v", r.At, r.Reason, r.Err) }

func (r *Refused) Unwrap() error { return r.Err }

// lineMax bounds a line, so that a file that is no JSON lines at all cannot fill the memory.
const lineMax = 64 << 20

// Read streams the conversations of a file of JSON lines, or of one JSON list, each in one of the Formats. After an error
// that is a *Refused it goes on, after any other it ends: the file cannot be read, or it is not of that kind.
func Read(path string) iter.Seq2[Example, error] {
	return func(yield func(Example, error) bool) {
		file, err := os.Open(path)
		if err != nil {
			yield(Example{}, fmt.Errorf("read conversations: %w", err))
			return
		}
		defer file.Close()
		reader := bufio.NewReaderSize(file, 1<<20)
		entries := lines
		if first, err := firstByte(reader); err == nil && first == '[' {
			entries = elements
		}
		for entry := range entries(reader) {
			at := fmt.Sprintf("%s:%d", path, entry.line)
			if entry.err != nil {
				yield(Example{}, fmt.Errorf("read conversations %s: %w", at, entry.err))
				return
			}
			example, err := Parse(entry.text, at)
			var refused *Refused
			if !yield(example, err) || err != nil && !errors.As(err, &refused) {
				return
			}
		}
	}
}

// Parse reads one conversation, a JSON object in one of the Formats; at says where it is, in errors. The error is a *Refused
// if it can be read but is no Example.
func Parse(text []byte, at string) (Example, error) {
	messages, err := parse(text)
	if err == nil {
		err = check(messages)
	}
	var refused *Refused
	switch {
	case errors.As(err, &refused):
		refused.At = at
		return Example{}, refused
	case err != nil:
		return Example{}, fmt.Errorf("read conversations %s: %w", at, err)
	}
	first := slices.IndexFunc(messages, func(m Message) bool { return m.Role == User })
	return Example{Conversation: Conversation{messages}, At: at, Key: messages[first].Content.Text()}, nil
}

// firstByte looks at the first byte that is no white space, without taking it.
func firstByte(reader *bufio.Reader) (byte, error) {
	for size := 64; ; size *= 2 {
		head, err := reader.Peek(size)
		head = bytes.TrimPrefix(head, byteOrderMark)
		if head = bytes.TrimLeft(head, " \t\r\n"); len(head) > 0 {
			return head[0], nil
		}
		if err != nil {
			return 0, err
		}
	}
}

var byteOrderMark = []byte("\uFEFF")

// entry is one JSON object of a file, which begins in a line, counted from 1.
type entry struct {
	line int
	text []byte
	err  error
}

// lines gives each line that is not blank.
func lines(reader *bufio.Reader) iter.Seq[entry] {
	return func(yield func(entry) bool) {
		scanner := bufio.NewScanner(reader)
		scanner.Buffer(nil, lineMax)
		line := 1
		for ; scanner.Scan(); line++ {
			text := bytes.TrimSpace(bytes.TrimPrefix(scanner.Bytes(), byteOrderMark))
			if len(text) > 0 && !yield(entry{line, text, nil}) {
				return
			}
		}
		err := scanner.Err()
		if errors.Is(err, bufio.ErrTooLong) {
			err = fmt.Errorf("the line is longer than %d MiB; write one conversation a line", lineMax>>20)
		}
		if err != nil {
			yield(entry{line, nil, err})
		}
	}
}

// elements gives each element of one JSON list, which is read whole.
func elements(reader *bufio.Reader) iter.Seq[entry] {
	return func(yield func(entry) bool) {
		text, err := io.ReadAll(reader)
		if err != nil {
			yield(entry{1, nil, err})
			return
		}
		text = bytes.TrimPrefix(text, byteOrderMark)
		decoder := json.NewDecoder(bytes.NewReader(text))
		line, seen := 1, int64(0)
		// here is the line of the next element, or of the error.
		here := func() int {
			at := decoder.InputOffset()
			at += int64(len(text[at:]) - len(bytes.TrimLeft(text[at:], ", \t\r\n")))
			line += bytes.Count(text[seen:at], []byte("\n"))
			seen = at
			return line
		}
		if _, err := decoder.Token(); err != nil { // the opening bracket
			yield(entry{here(), nil, err})
			return
		}
		for decoder.More() {
			next := entry{line: here()}
			var element json.RawMessage
			if next.err = decoder.Decode(&element); next.err != nil {
				yield(next)
				return
			}
			next.text = element
			if !yield(next) {
				return
			}
		}
		if _, err := decoder.Token(); err != nil { // the closing bracket
			yield(entry{here(), nil, fmt.Errorf("the list does not end: %w", err)})
			return
		}
		after := here()
		if _, err := decoder.Token(); err != io.EOF {
			yield(entry{after, nil, errors.New("there is more after the list; a file is one list, or one conversation a line")})
		}
	}
}

// check says why a conversation is no Example.
func check(messages []Message) error {
	c := Conversation{messages}
	expected, answers := User, 0
	for i, message := range messages {
		if message.Role == System && i == 0 {
			continue
		}
		if message.Role != expected {
			return &Refused{Reason: WrongRoles, Err: c.Validate()}
		}
		expected = User
		if message.Role == User {
			expected = Assistant
			continue
		}
		if !slices.ContainsFunc(message.Content, func(part Part) bool { return part.Text != "" && part.Type != Output }) {
			return &Refused{Reason: EmptyAnswer, Err: fmt.Errorf("message %d of the assistant is empty", i)}
		}
		answers++
	}
	if answers == 0 {
		return &Refused{Reason: NoAssistant, Err: fmt.Errorf("none of its %d messages is of the assistant", len(messages))}
	}
	if err := c.Validate(); err != nil {
		return &Refused{Reason: BadContent, Err: err}
	}
	return nil
}
