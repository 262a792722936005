package chat_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"tandem/workbench/chat"
)

// read gives the examples of a file of this text, and what was wrong.
func read(t testing.TB, text string) (examples []chat.Example, problems []error) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "talk.jsonl")
	require.NoError(t, os.WriteFile(path, []byte(text), 0o666))
	for example, err := range chat.Read(path) {
		if err != nil {
			require.NotContains(t, err.Error(), "\n")
			problems = append(problems, err)
			continue
		}
		require.NoError(t, example.Validate())
		example.At = strings.TrimPrefix(example.At, path+":")
		examples = append(examples, example)
	}
	return examples, problems
}

func conversation(pairs ...string) []chat.Message {
	var messages []chat.Message
	for i := 0; i < len(pairs); i += 2 {
		messages = append(messages, chat.Message{Role: chat.Role(pairs[i]), Content: chat.TextContent(pairs[i+1])})
	}
	return messages
}

func TestEachFormatIsReadForWhatItIs(t *testing.T) {
	plain := conversation("user", "hi", "assistant", "hello")
	for name, test := range map[string]struct {
		text string
		want []chat.Message
	}{
		"OpenAI":                        {`{"messages":[{"role":"user","content":"hi"},{"role":"assistant","content":"hello"}],"source":"x"}`, plain},
		"OpenAI with a system message":  {`{"messages":[{"role":"system","content":"be kind"},{"role":"user","content":"hi"},{"role":"assistant","content":"hello"}]}`, conversation("system", "be kind", "user", "hi", "assistant", "hello")},
		"OpenAI with empty fields":      {`{"messages":[{"role":"user","content":"hi","name":null},{"role":"assistant","content":"hello","tool_calls":[]}]}`, plain},
		"OpenAI with parts":             {`{"messages":[{"role":"user","content":[{"type":"text","text":"2+2?"}]},{"role":"assistant","content":[{"type":"python","text":"2+2"},{"type":"python_output","text":"4"},{"type":"text","text":"4"}]}]}`, []chat.Message{{Role: chat.User, Content: chat.TextContent("2+2?")}, {Role: chat.Assistant, Content: chat.Content{{Type: chat.Python, Text: "2+2"}, {Type: chat.Output, Text: "4"}, {Type: chat.Text, Text: "4"}}}}},
		"ShareGPT":                      {`{"id":"1","conversations":[{"from":"human","value":"hi"},{"from":"gpt","value":"hello"}]}`, plain},
		"ShareGPT with a system":        {`{"conversations":[{"from":"system","value":"s"},{"from":"user","value":"hi"},{"from":"assistant","value":"hello"}]}`, conversation("system", "s", "user", "hi", "assistant", "hello")},
		"Alpaca":                        {`{"instruction":"hi","input":"","output":"hello"}`, plain},
		"Alpaca without input":          {`{"instruction":"hi","output":"hello"}`, plain},
		"Alpaca with input":             {`{"instruction":"add","input":"1 2","output":"3"}`, conversation("user", "add\n\n1 2", "assistant", "3")},
		"ShareGPT with a system field":  {`{"conversations":[{"from":"human","value":"hi"},{"from":"gpt","value":"hello"}],"system":"s","tools":""}`, conversation("system", "s", "user", "hi", "assistant", "hello")},
		"ShareGPT with both":            {`{"conversations":[{"from":"system","value":"s"},{"from":"human","value":"hi"},{"from":"gpt","value":"hello"}],"system":"not this"}`, conversation("system", "s", "user", "hi", "assistant", "hello")},
		"Alpaca with its usual text":    {`{"instruction":"hi","input":null,"output":"hello","text":"Below is an instruction"}`, plain},
		"Alpaca with what came before":  {`{"instruction":"and 2?","input":"","output":"4","system":"add","history":[["double 1","2"]]}`, conversation("system", "add", "user", "double 1", "assistant", "2", "user", "and 2?", "assistant", "4")},
		"Alpaca with empty fields":      {`{"instruction":"hi","input":"","output":"hello","system":"","history":[]}`, plain},
		"GSM8K without calculations":    {`{"question":"hi","answer":"hello"}`, plain},
		"a question that the user left": {`{"messages":[{"role":"user","content":"a"},{"role":"assistant","content":"b"},{"role":"user","content":"c"}]}`, conversation("user", "a", "assistant", "b", "user", "c")},
	} {
		t.Run(name, func(t *testing.T) {
			examples, problems := read(t, "\n"+test.text+"\n")
			require.Empty(t, problems)
			require.Len(t, examples, 1)
			require.Equal(t, test.want, examples[0].Messages)
			require.Equal(t, "2", examples[0].At)
		})
	}
}

func TestCalculationsOfGSM8KBecomeCallsOfPython(t *testing.T) {
	text, call, output := chat.Text, chat.Python, chat.Output
	for answer, want := range map[string]chat.Content{
		"She sold 48/2 = <<48/2=24>>24 clips.\n#### 24": {{Type: text, Text: "She sold 48/2 = "}, {Type: call, Text: "48/2"}, {Type: output, Text: "24"}, {Type: text, Text: "24 clips.\n#### 24"}},
		"<<1+1=2>><<2+2=4>>":                            {{Type: call, Text: "1+1"}, {Type: output, Text: "2"}, {Type: call, Text: "2+2"}, {Type: output, Text: "4"}},
		"a << b, <<x>> and <<=3>>.":                     {{Type: text, Text: "a << b, <<x>> and <<=3>>."}},
		"<<a=b=c>>":                                     {{Type: call, Text: "a=b"}, {Type: output, Text: "c"}},
		"never <<1+1=2 closed":                          {{Type: text, Text: "never <<1+1=2 closed"}},
	} {
		examples, problems := read(t, fmt.Sprintf(`{"question":"q","answer":%q}`, answer))
		require.Empty(t, problems)
		require.Equal(t, want, examples[0].Messages[1].Content, answer)
	}
}

func TestAConversationThatCannotBeLearnedIsRefusedAndTheNextOneRead(t *testing.T) {
	const good = `{"messages":[{"role":"user","content":"hi"},{"role":"assistant","content":"hello"}]}`
	for name, test := range map[string]struct{ text, reason, says string }{
		"a role that does not exist":  {`{"messages":[{"role":"user","content":"a"},{"role":"robot","content":"b"}]}`, chat.WrongRoles, `message 1 has role "robot"; there are system, user and assistant`},
		"two users in a row":          {`{"messages":[{"role":"user","content":"a"},{"role":"user","content":"b"},{"role":"assistant","content":"c"}]}`, chat.WrongRoles, "message 1 is of the user; user and assistant must alternate"},
		"the assistant first":         {`{"conversations":[{"from":"gpt","value":"a"},{"from":"human","value":"b"}]}`, chat.WrongRoles, "message 0 is of the assistant"},
		"a system message late":       {`{"messages":[{"role":"user","content":"a"},{"role":"system","content":"b"},{"role":"assistant","content":"c"}]}`, chat.WrongRoles, "it may only come first"},
		"an unknown ShareGPT speaker": {`{"conversations":[{"from":"human","value":"a"},{"from":"observation","value":"b"}]}`, chat.WrongRoles, `turn 1 is from "observation"; there are assistant, chatgpt, gpt, human, system, user`},
		"no assistant":                {`{"messages":[{"role":"user","content":"a"}]}`, chat.NoAssistant, "none of its 1 messages is of the assistant"},
		"no messages":                 {`{"messages":[]}`, chat.NoAssistant, "none of its 0 messages"},
		"an empty answer":             {`{"instruction":"a","input":"","output":""}`, chat.EmptyAnswer, "message 1 of the assistant is empty"},
		"an answer of empty parts":    {`{"messages":[{"role":"user","content":"a"},{"role":"assistant","content":[{"type":"text","text":""}]}]}`, chat.EmptyAnswer, "message 1"},
		"an answer of a tool alone":   {`{"messages":[{"role":"user","content":"a"},{"role":"assistant","content":[{"type":"python_output","text":"4"}]}]}`, chat.EmptyAnswer, "message 1"},
		"an empty question":           {`{"question":"","answer":"b"}`, chat.BadContent, "message 0 of the user: it is empty"},
		"a picture":                   {`{"messages":[{"role":"user","content":[{"type":"image","text":"x"}]},{"role":"assistant","content":"b"}]}`, chat.BadContent, `type "image"`},
		"a tool call that would be lost": {`{"messages":[{"role":"user","content":"a"},{"role":"assistant","content":null,"tool_calls":[{"id":"1"}]}]}`,
			chat.BadContent, `unknown field "tool_calls"`},
		"messages that are no list":  {`{"messages":"hello"}`, chat.BadContent, "messages: "},
		"a history of no pairs":      {`{"instruction":"a","output":"b","history":["c"]}`, chat.BadContent, "history: "},
		"a system that is a list":    {`{"conversations":[{"from":"human","value":"a"},{"from":"gpt","value":"b"}],"system":["c"]}`, chat.BadContent, "system: "},
		"an output that is a number": {`{"instruction":"a","output":3}`, chat.BadContent, "output: "},
	} {
		t.Run(name, func(t *testing.T) {
			examples, problems := read(t, test.text+"\n"+good+"\n")
			require.Len(t, examples, 1, "the good one")
			require.Len(t, problems, 1)
			var refused *chat.Refused
			require.True(t, errors.As(problems[0], &refused), "%v", problems[0])
			require.Equal(t, test.reason, refused.Reason)
			require.Regexp(t, `talk\.jsonl:1$`, refused.At)
			require.ErrorContains(t, problems[0], test.says)
		})
	}
}

func TestAFileThatIsNoConversationsEndsTheReading(t *testing.T) {
	for name, test := range map[string]struct{ text, says string }{
		"another format":      {`{"prompt":"a","completion":"b"}`, `talk.jsonl:1: the fields completion, prompt are of no known format; there are OpenAI (messages), ShareGPT (conversations), Alpaca (instruction, output) and GSM8K (question, answer)`},
		"a broken line":       {"{\"question\":\"a\",\"answer\":\"b\"}\n{\"question\":", "talk.jsonl:2: unexpected end of JSON input; each must be a JSON object; fix or delete this one"},
		"plain text":          {"once upon a time", "talk.jsonl:1: invalid character"},
		"a list of strings":   {`["a"]`, "talk.jsonl:1: json: cannot unmarshal string"},
		"a list cut short":    {"[\n{\"question\":\"a\",\"answer\":\"b\"},\n{\"question\":\"a\"", "talk.jsonl:3: unexpected EOF"},
		"a list without end":  {"[\n{\"question\":\"a\",\"answer\":\"b\"}\n", "talk.jsonl:3: the list does not end"},
		"two lists":           {"[\n{\"question\":\"a\",\"answer\":\"b\"}]\n[{\"question\":\"c\",\"answer\":\"d\"}]", "talk.jsonl:3: there is more after the list; a file is one list, or one conversation a line"},
		"an object of a list": {"[\n{\"question\":\"a\",\"answer\":\"b\"},\n\n{\"x\":1}]", "talk.jsonl:4: the fields x are of no known format"},
	} {
		t.Run(name, func(t *testing.T) {
			_, problems := read(t, test.text)
			require.Len(t, problems, 1)
			var refused *chat.Refused
			require.False(t, errors.As(problems[0], &refused))
			require.ErrorContains(t, problems[0], test.says)
			require.ErrorContains(t, problems[0], "read conversations ")
		})
	}
	for _, err := range chat.Read(filepath.Join(t.TempDir(), "none.jsonl")) {
		require.ErrorIs(t, err, os.ErrNotExist)
	}
}

func TestOneJSONListIsReadLikeLines(t *testing.T) {
	examples, problems := read(t, "\uFEFF [ {\"instruction\":\"a\",\n\"output\":\"b\"},\n\n  {\"messages\":[]},\n {\"question\":\"c\",\"answer\":\"d\"} ]\n")
	require.Len(t, problems, 1)
	require.ErrorContains(t, problems[0], "talk.jsonl:4: "+chat.NoAssistant)
	require.Len(t, examples, 2)
	require.Equal(t, []string{"1", "5"}, []string{examples[0].At, examples[1].At})
	require.Equal(t, []string{"a", "c"}, []string{examples[0].Key, examples[1].Key})
	examples, problems = read(t, "")
	require.Empty(t, examples)
	require.Empty(t, problems)
}

// FuzzRead checks that what is read can be rendered and has something to learn.
func FuzzRead(f *testing.F) {
	f.Add(`{"question":"a","answer":"<<1=1>>"}`)
	f.Add(`[{"instruction":"a","output":"b"}]`)
	f.Add(`{"conversations":[{"from":"human","value":"a"},{"from":"gpt","value":"b"}]}`)
	template := newTemplate(f)
	f.Fuzz(func(t *testing.T, text string) {
		examples, _ := read(t, text)
		for _, example := range examples {
			r, err := template.Render(example.Conversation)
			require.NoError(t, err)
			require.Contains(t, r.Mask, true)
		}
	})
}
