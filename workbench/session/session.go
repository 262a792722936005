package session

import (
	"context"
	"encoding/json"
	"iter"
	"time"

	"tandem/workbench/runlog"
)

// Workbench is what a session does. lab does the work in its own process; a Client has it done by a session. All methods
// may be called concurrently. RUN, in requests, is a name under runs/ or a path; "" is the newest run.
type Workbench interface {
	// Status says what is loaded and running. It answers at once, whatever else goes on.
	Status(ctx context.Context) (Status, error)
	// Train begins a training and returns; follow it with Watch. It goes on when the caller is gone. One training runs
	// at a time.
	Train(ctx context.Context, r TrainRequest) (Training, error)
	// Watch gives what has happened in a run's training so far, then what happens as it happens. The last event says how
	// the training ended. A run that does not train is replayed from its metrics.
	Watch(ctx context.Context, run string) iter.Seq2[Event, error]
	// StopTraining ends a running training after its step, with a checkpoint, and returns when that is saved.
	StopTraining(ctx context.Context, run string) (Training, error)
	// Sample continues a text with a run's newest checkpoint.
	Sample(ctx context.Context, r SampleRequest) iter.Seq2[Piece, error]
	// Chat asks a question and gives the answer as it comes. Leaving the loop, or the end of ctx, cuts it short.
	Chat(ctx context.Context, r ChatRequest) iter.Seq2[Piece, error]
	// Generate continues tokens, for callers that keep conversations themselves.
	Generate(ctx context.Context, r GenerateRequest) iter.Seq2[Token, error]
	// Release frees a state that Generate kept. One that is gone already is no error.
	Release(ctx context.Context, state string) error
	// Load makes a run's newest checkpoint ready to answer.
	Load(ctx context.Context, r ModelRequest) (Model, error)
	// Unload frees a loaded run, unless it is answering.
	Unload(ctx context.Context, run string) error
	// Close lets go. The workbench itself stops its trainings, with a checkpoint each, and frees the device; a client
	// leaves its session as it is.
	Close() error
}

// TrainRequest says what to train.
type TrainRequest struct {
	// Config is the whole configuration as config.Config's JSON; a run to resume has its own without it.
	Config json.RawMessage `json:"config,omitempty"`
	// Resume is the run to continue from its newest checkpoint; "" begins a new one.
	Resume string `json:"resume,omitempty"`
	// Command is what the user typed, for run.json.
	Command []string `json:"command,omitempty"`
	// Wait begins when the running training has ended; otherwise a running one is an error.
	Wait bool `json:"wait,omitempty"`
}

// TrainingState is how far a training is.
type TrainingState string

// The states of a training.
const (
	Running TrainingState = "running"
	// Done means that all steps are done.
	Done TrainingState = "done"
	// Stopped means that it was interrupted and its checkpoint saved; it can be resumed.
	Stopped TrainingState = "stopped"
	// Failed means that it ended with Training.Problem.
	Failed TrainingState = "failed"
	// Ended is all that is known of a training of another process, or of an earlier one.
	Ended TrainingState = "ended"
)

// Training is a training of a session. Numbers that are not known yet, or not finite, are 0.
type Training struct {
	Run     string        `json:"run"`
	Folder  string        `json:"folder"`
	State   TrainingState `json:"state"`
	Problem string        `json:"problem,omitempty"`
	Started time.Time     `json:"started,omitzero"`
	// Step is the steps done, of Steps.
	Step       int     `json:"step"`
	Steps      int     `json:"steps"`
	Parameters int     `json:"parameters"`
	Tokens     int64   `json:"tokens"`
	Seconds    float64 `json:"seconds"`
	// Loss is the last step's in nats, BPB the last validation in bits per byte, UnigramBPB that of counting tokens.
	Loss       float64 `json:"loss"`
	BPB        float64 `json:"bpb"`
	UnigramBPB float64 `json:"unigram_bpb"`
	// Sample is the last sample.
	Sample string `json:"sample,omitempty"`
}

// Event is one thing that happens in a training.
type Event struct {
	// Record is as in metrics.jsonl. A step has the values loss, norm, lr, tokens_per_second, steps (in all) and
	// remaining_seconds; an eval has bpb; a sample and an event have the text "text"; a save has "folder". After a resume
	// record, earlier ones with a later step no longer count: see runlog.Resolve. Of Kind Say is what is being done before
	// there are steps, as a text "text".
	Record runlog.Record `json:"record"`
	// Training is on the last event alone, whose Kind is End: how it ended.
	Training *Training `json:"training,omitempty"`
}

// The kinds of record that only events have.
const (
	Say = "say"
	End = "end"
)

// ModelRequest names a run whose newest checkpoint is to be used.
type ModelRequest struct {
	Run string `json:"run"`
	// Backend is where to load it: "" and "auto" are the device that is open, or else the best there is. A session has
	// one device, so any other than the open one is an error.
	Backend string `json:"backend,omitempty"`
}

// Sampling is the choice of each token, as in generate.Sampling.
type Sampling struct {
	Temperature       float64 `json:"temperature"`
	TopK              int     `json:"top_k,omitempty"`
	TopP              float64 `json:"top_p,omitempty"`
	MinP              float64 `json:"min_p,omitempty"`
	RepetitionPenalty float64 `json:"repetition_penalty,omitempty"`
	Seed              uint64  `json:"seed,omitempty"`
}

// SampleRequest says what to continue, and how.
type SampleRequest struct {
	ModelRequest
	Prompt string `json:"prompt"`
	// Tokens to add at most; 0 is 64.
	Tokens   int      `json:"tokens,omitempty"`
	Sampling Sampling `json:"sampling"`
}

// ChatRequest is a turn of a conversation, which the session keeps.
type ChatRequest struct {
	ModelRequest
	// Conversation names the conversation to go on with: any word. A name that is new begins one. "" asks a single
	// question.
	Conversation string `json:"conversation,omitempty"`
	// System is the system message of a conversation that begins; later it replaces the old one unless it is "".
	System  string `json:"system,omitempty"`
	Message string `json:"message"`
	// Reset forgets what was said before.
	Reset bool `json:"reset,omitempty"`
	// Tokens of the answer at most; 0 is as many as fit.
	Tokens   int      `json:"tokens,omitempty"`
	Sampling Sampling `json:"sampling"`
}

// Status is what a session holds and does.
type Status struct {
	// Process is nil where the workbench works in the caller's own process.
	Process *Process `json:"process,omitempty"`
	// Device is the open device, in words; "" before one is needed.
	Device string `json:"device"`
	// HostBytes is the memory that the process has from the system, without what XLA takes by itself.
	HostBytes int64   `json:"host_bytes"`
	Models    []Model `json:"models"`
	// Trainings are the running one and those that ended, newest first.
	Trainings []Training `json:"trainings"`
	// Calls counts answers and samples; SavedSeconds is their Usage.SavedSeconds in all, LoadSeconds and CompileSeconds
	// what was spent.
	Calls          int     `json:"calls"`
	LoadSeconds    float64 `json:"load_seconds"`
	CompileSeconds float64 `json:"compile_seconds"`
	SavedSeconds   float64 `json:"saved_seconds"`
}

// Training finds the running training; false if there is none.
func (s Status) Training() (Training, bool) {
	for _, training := range s.Trainings {
		if training.State == Running {
			return training, true
		}
	}
	return Training{}, false
}

// Process is a session's process.
type Process struct {
	PID     int       `json:"pid"`
	Started time.Time `json:"started"`
	// Build is what the session runs: equal builds have equal code.
	Build string `json:"build"`
	// Folder is the runs folder it serves, Log the file of what it says.
	Folder string `json:"folder"`
	Log    string `json:"log"`
	// IdleSeconds is after how long without work it stops; 0 is never.
	IdleSeconds float64 `json:"idle_seconds"`
	// Previous says how the session before this one ended, if it did not end by itself.
	Previous string `json:"previous,omitempty"`
}
