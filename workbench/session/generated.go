package session

import "time"

// Piece is a piece of a sample or of an answer.
type Piece struct {
	// Part is the index of the part of the answer that this belongs to, Type that part's: text, python or python_output.
	Part int    `json:"part"`
	Type string `json:"type,omitempty"`
	Text string `json:"text,omitempty"`
	// Problem says why a tool gave no output.
	Problem string `json:"problem,omitempty"`
	// Usage is on the last piece alone, which has no text.
	Usage *Usage `json:"usage,omitempty"`
}

// Usage is what an answer took.
type Usage struct {
	Run  string `json:"run"`
	Step int    `json:"step"`
	// Finish is why it ended: stop, length or capacity.
	Finish string `json:"finish"`
	// PromptTokens came before the answer; of those ReusedTokens did not have to be fed again.
	PromptTokens int `json:"prompt_tokens"`
	ReusedTokens int `json:"reused_tokens"`
	AnswerTokens int `json:"answer_tokens"`
	// FirstSeconds is the time to the first token, loading and compiling included; Seconds that to the last.
	FirstSeconds    float64 `json:"first_seconds"`
	Seconds         float64 `json:"seconds"`
	TokensPerSecond float64 `json:"tokens_per_second"`
	// LoadSeconds and CompileSeconds are what this call spent on loading the checkpoint and on compiling programs;
	// SavedSeconds is what earlier calls had spent on it, so that this one did not have to.
	LoadSeconds    float64 `json:"load_seconds"`
	CompileSeconds float64 `json:"compile_seconds"`
	SavedSeconds   float64 `json:"saved_seconds"`
}

// GenerateRequest says which tokens to continue.
type GenerateRequest struct {
	ModelRequest
	// Prompt is all tokens so far, Tokens how many to add at most (0 is no limit), Stop those that end it.
	Prompt   []int32  `json:"prompt"`
	Tokens   int      `json:"tokens,omitempty"`
	Stop     []int32  `json:"stop,omitempty"`
	Sampling Sampling `json:"sampling"`
	// Overflow is what happens when the state is full, as generate.Overflow.
	Overflow string `json:"overflow,omitempty"`
	// From is a kept state that the prompt begins with; "" feeds all. If that is gone, it is an error.
	From string `json:"from,omitempty"`
	// Keep asks for the state at the end. A session keeps a few of them, those used last.
	Keep bool `json:"keep,omitempty"`
}

// Token is one token, or with Finish set the end, as generate.Token.
type Token struct {
	ID      int32   `json:"id"`
	LogProb float32 `json:"log_prob"`
	Finish  string  `json:"finish,omitempty"`
	// State is on the last one, if it was asked for.
	State *State `json:"state,omitempty"`
}

// State is a state that a session keeps: of so many tokens, so many bytes.
type State struct {
	ID     string  `json:"id"`
	Tokens []int32 `json:"tokens"`
	Bytes  int64   `json:"bytes"`
}

// Model is a loaded run.
type Model struct {
	Run        string `json:"run"`
	Folder     string `json:"folder"`
	Step       int    `json:"step"`
	Pattern    string `json:"pattern"`
	Parameters int    `json:"parameters"`
	Context    int    `json:"context"`
	// Tuned says whether the run was trained on conversations.
	Tuned bool `json:"tuned"`
	// WeightBytes and StateBytes are on the device: weights, and the states of running answers and kept conversations.
	WeightBytes int64 `json:"weight_bytes"`
	StateBytes  int64 `json:"state_bytes"`
	// RowBytes is the state of one answer at its longest, of which each token takes TokenBytes; Rows is how many are given at
	// a time.
	RowBytes      int64     `json:"row_bytes"`
	TokenBytes    int64     `json:"token_bytes"`
	Rows          int       `json:"rows"`
	Conversations int       `json:"conversations"`
	Answering     int       `json:"answering"`
	Used          time.Time `json:"used"`
	// LoadSeconds and CompileSeconds are what it took to get here; each later call saves them.
	LoadSeconds    float64 `json:"load_seconds"`
	CompileSeconds float64 `json:"compile_seconds"`
}
