package lab

import (
	"fmt"
	"path/filepath"

	"github.com/gomlx/compute/shapes"

	"tandem/models"
	"tandem/workbench/chat"
	"tandem/workbench/generate"
	"tandem/workbench/session"
	"tandem/workbench/tokenizer"
	"tandem/xla"
)

// The words of a chat.
type (
	Conversation = chat.Conversation
	Content      = chat.Content
	ChatOptions  = chat.Options
	ChatSession  = chat.Session
	ChatDelta    = chat.Delta
	ChatUsage    = chat.Usage
	ChatStats    = chat.Stats
	// EngineOptions size the engine that answers.
	EngineOptions = generate.Options
)

// The types of part of an answer.
const (
	PartText   = chat.Text
	PartPython = chat.Python
	PartOutput = chat.Output
)

// Chat is a run's newest checkpoint, ready to answer.
type Chat struct {
	Run       *Run
	Device    *xla.Device
	Tokenizer *tokenizer.Tokenizer
	Engine    *generate.Engine
	// Model answers conversations; it is safe for concurrent use.
	Model *chat.Model
	// Overflow is what suits the model when a conversation becomes too long: to go on where its state does not grow with
	// its tokens, else to forget the oldest exchanges.
	Overflow generate.Overflow

	// Where a workbench answers, Device and Engine are nil and these say where that is.
	workbench session.Workbench
	loaded    session.Model
	where     string
}

// Where names the device that answers; Summary says more of it, in one line.
func (c *Chat) Where() string {
	if c.workbench != nil {
		return c.where
	}
	return c.Device.Kind
}

// Summary is a line about the device that answers.
func (c *Chat) Summary() string {
	if c.workbench != nil {
		return "the session answers: " + c.where
	}
	return c.Device.Summary()
}

// OpenChat loads a run's newest valid checkpoint on a backend. say is told of checkpoints that were skipped. Close it.
func OpenChat(run *Run, backend string, o EngineOptions, say func(string)) (*Chat, error) {
	tok, err := run.Tokenizer()
	if err != nil {
		return nil, err
	}
	model, err := run.Model()
	if err != nil {
		return nil, err
	}
	c := &Chat{Run: run, Tokenizer: tok, Overflow: overflowOf(model)}
	if c.Device, err = xla.Open(backend); err != nil {
		return nil, err
	}
	if err := c.load(model, o, say); err != nil {
		c.Device.Finalize()
		return nil, fmt.Errorf("chat with %s: %w", run.Name, err)
	}
	return c, nil
}

func (c *Chat) load(model *models.Model, o EngineOptions, say func(string)) error {
	weights, skipped, err := loadWeights(c.Run, model, c.Device)
	for _, bad := range skipped {
		say("skipped checkpoint " + bad.String())
	}
	if err != nil {
		return err
	}
	if c.Engine, err = generate.New(c.Device, model, weights, o); err != nil {
		return err
	}
	if c.Model, err = chat.NewModel(chat.Over(c.Engine), c.Tokenizer); err != nil {
		c.Engine.Close()
	}
	return err
}

// overflowOf asks whether a row of two tokens needs a larger state than one of one.
func overflowOf(model *models.Model) generate.Overflow {
	size := func(capacity int) (elements int) {
		for _, tensor := range model.State(1, capacity, model.Weights()[0].DType) {
			elements += shapes.Make(tensor.DType, tensor.Shape...).Size()
		}
		return elements
	}
	if size(1) == size(2) {
		return generate.OverflowContinue
	}
	return chat.OverflowForget
}

// Session begins a conversation; system may be empty.
func (c *Chat) Session(system string) *ChatSession { return chat.NewSession(c.Model, system) }

// Tuned says whether the run was trained to answer.
func (c *Chat) Tuned() bool { return c.Run.Tuned() }

// ChatHistoryFile is where lines typed in a chat are kept, in the user's cache folder.
func ChatHistoryFile() (string, error) {
	folder, err := cacheFolder()
	return filepath.Join(folder, "chat_history.jsonl"), err
}

// Close ends all answers and frees the device.
func (c *Chat) Close() {
	if c.workbench != nil {
		c.workbench.Close()
		return
	}
	c.Engine.Close()
	c.Device.Finalize()
}
