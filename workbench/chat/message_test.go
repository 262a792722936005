package chat_test

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"tandem/workbench/chat"
)

func TestAConversationIsReadFromJSON(t *testing.T) {
	var c chat.Conversation
	require.NoError(t, json.Unmarshal([]byte(`{"messages":[
		{"role":"system","content":"be brief"},
		{"role":"user","content":[{"type":"text","text":"what is "},{"type":"text","text":"2+2?"}]},
		{"role":"assistant","content":[{"type":"python","text":"2+2"},{"type":"python_output","text":"4"},{"type":"text","text":"4"}],"refusal":null,"tool_calls":[]},
		{"role":"user","content":"thanks"},
		{"role":"assistant","content":null}]}`), &c))
	require.NoError(t, c.Validate())
	require.Equal(t, chat.Conversation{Messages: []chat.Message{
		{Role: chat.System, Content: chat.TextContent("be brief")},
		{Role: chat.User, Content: chat.Content{{Type: chat.Text, Text: "what is "}, {Type: chat.Text, Text: "2+2?"}}},
		{Role: chat.Assistant, Content: chat.Content{{Type: chat.Python, Text: "2+2"}, {Type: chat.Output, Text: "4"}, {Type: chat.Text, Text: "4"}}},
		{Role: chat.User, Content: chat.TextContent("thanks")},
		{Role: chat.Assistant},
	}}, c)

	encoded, err := json.Marshal(c)
	require.NoError(t, err)
	var again chat.Conversation
	require.NoError(t, json.Unmarshal(encoded, &again))
	require.Equal(t, c, again)
}

func TestMessagesThatAreNoneAreRefused(t *testing.T) {
	for name, test := range map[string]struct{ json, want string }{
		"an unknown field":          {`{"role":"user","content":"a","name":"bob"}`, `unknown field "name"; there are content and role`},
		"a number as content":       {`{"role":"user","content":5}`, `content must be a string or a list of parts`},
		"an object as content":      {`{"role":"user","content":{"text":"a"}}`, `content must be a string or a list of parts`},
		"an unknown field of parts": {`{"role":"user","content":[{"type":"text","text":"a","cache":1}]}`, `content part 0: unknown field "cache"; there are text and type`},
		"a text as part":            {`{"role":"user","content":["a"]}`, `content part 0: must be an object`},
		"a list as message":         {`[]`, `must be an object`},
		"a number as role":          {`{"role":1}`, `role: json`},
	} {
		t.Run(name, func(t *testing.T) {
			var m chat.Message
			require.ErrorContains(t, json.Unmarshal([]byte(test.json), &m), test.want)
		})
	}
}

func TestConversationsOutOfPlaceAreRefused(t *testing.T) {
	text := chat.TextContent("a")
	for name, test := range map[string]struct {
		messages []chat.Message
		want     string
	}{
		"nothing said":             {nil, "has no message"},
		"the assistant first":      {[]chat.Message{{chat.Assistant, text}}, "message 0 is of the assistant; user and assistant must alternate, and the user is next"},
		"two messages of the user": {[]chat.Message{{chat.User, text}, {chat.User, text}}, "message 1 is of the user; user and assistant must alternate, and the assistant is next"},
		"a late system message":    {[]chat.Message{{chat.User, text}, {chat.System, text}}, "message 1 is a system message; it may only come first"},
		"an unknown role":          {[]chat.Message{{"robot", text}}, `message 0 has role "robot"; there are system, user and assistant`},
		"an empty question":        {[]chat.Message{{chat.User, nil}}, "message 0 of the user: it is empty"},
		"a tool call of the user":  {[]chat.Message{{chat.User, chat.Content{{chat.Python, "1"}}}}, `part 0 has type "python"; only the assistant's may`},
		"an unknown part":          {[]chat.Message{{chat.User, chat.Content{{"image", "1"}}}}, `part 0 has type "image"; there are text, python and python_output`},
		"broken UTF-8":             {[]chat.Message{{chat.User, chat.TextContent("ab\xff")}}, "not valid UTF-8 at byte 2"},
	} {
		t.Run(name, func(t *testing.T) {
			require.ErrorContains(t, chat.Conversation{Messages: test.messages}.Validate(), test.want)
		})
	}
}
