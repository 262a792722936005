package repl

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"tandem/workbench/lab"
)

func TestAFileWithoutMessagesDoesNotTakeTheConversationsPlace(t *testing.T) {
	said := lab.Conversation{}.With("user", "hello").With("assistant", "hi")
	for name, text := range map[string]string{"another kind of file": `{"name":"page"}`, "an empty conversation": `{"messages":null}`, "no JSON": "# Page"} {
		t.Run(name, func(t *testing.T) {
			talk := Talk{Session: new(lab.ChatSession), Notes: &bytes.Buffer{}}
			require.NoError(t, talk.Session.SetConversation(said))
			file := filepath.Join(t.TempDir(), "talk.json")
			require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
			require.ErrorContains(t, talk.Line(t.Context(), "/load "+file), "; give a file that /save wrote")
			require.Equal(t, said, talk.Session.Conversation())
		})
	}
}
