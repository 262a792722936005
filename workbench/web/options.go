package web

import (
	"context"
	"fmt"
	"net"
	"strings"
	"time"

	"tandem/workbench/chat"
)

// Model is what answers. A *chat.Model is one.
type Model interface {
	Answer(ctx context.Context, c chat.Conversation, thread *chat.Thread, o chat.Options) (*chat.Answer, error)
	Complete(ctx context.Context, prompt string, o chat.Options) (*chat.Answer, error)
}

// Kind is a kind of block in the pattern.
type Kind struct {
	Letter string `json:"letter"`
	Name   string `json:"name"`
}

// Info describes the model to clients.
type Info struct {
	// Name is what requests must call it.
	Name    string
	Created time.Time
	// Pattern is one letter a block; Kinds are those that occur.
	Pattern    string
	Kinds      []Kind
	Parameters int
	// Context is the tokens that a conversation can have.
	Context int
	// StateFixedBytes and StateTokenBytes make up a conversation's state: so much at any length, and so much a token.
	StateFixedBytes, StateTokenBytes int64
	// Device is where it runs, in words.
	Device string
}

// Limits bound what clients can ask for. Zero values mean the default.
type Limits struct {
	// Body is the bytes of a request; 0 is 1 MiB.
	Body int64
	// Messages is their number in a conversation; 0 is 500.
	Messages int
	// MaxTokens is the tokens of an answer; 0 is 16,384.
	MaxTokens int
	// Requests is how many may be answered or wait at a time; 0 is 1,024. One more gets status 429.
	Requests int
	// CacheBytes is the size of states kept for conversations that go on; 0 keeps none.
	CacheBytes int64
	// Timeout is the time for an answer, waiting included; 0 is 10 minutes.
	Timeout time.Duration
	// Stall is the time in which a client must send its request, and take each event; 0 is 30 seconds.
	Stall time.Duration
	// Grace is the time that running answers have to end at shutdown; 0 is 10 seconds.
	Grace time.Duration
}

func (l Limits) resolved() (Limits, error) {
	if l.Body < 0 || l.Messages < 0 || l.MaxTokens < 0 || l.Requests < 0 || l.CacheBytes < 0 || l.Timeout < 0 || l.Stall < 0 || l.Grace < 0 {
		return l, fmt.Errorf("web limits %+v: none may be negative; 0 is the default", l)
	}
	l.Body = orDefault(l.Body, 1<<20)
	l.Messages = orDefault(l.Messages, 500)
	l.MaxTokens = orDefault(l.MaxTokens, 1<<14)
	l.Requests = orDefault(l.Requests, 1<<10)
	l.Timeout = orDefault(l.Timeout, 10*time.Minute)
	l.Stall = orDefault(l.Stall, 30*time.Second)
	l.Grace = orDefault(l.Grace, 10*time.Second)
	return l, nil
}

func orDefault[N int | int64 | time.Duration](value, fallback N) N {
	if value == 0 {
		return fallback
	}
	return value
}

// Options say what to serve and to whom.
type Options struct {
	Model Model
	Info  Info
	// Token is what clients must send as "Authorization: Bearer TOKEN". Without one only this machine is answered.
	Token  string
	Limits Limits
	// StateBytes is the decoding state on the device now, for the metrics; nil leaves it out.
	StateBytes func() int64
	// Log is told of what goes wrong inside; nil drops it.
	Log func(line string)
}

// CheckAddress refuses to listen beyond this machine without a token. addr is HOST:PORT.
func CheckAddress(addr, token string) error {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return fmt.Errorf("serve on %q: %w; give HOST:PORT, such as 127.0.0.1:8000", addr, err)
	}
	if token == "" && !loopback(host) {
		return fmt.Errorf("serve on %q: other machines could reach it; give a --token that clients must send, or serve on 127.0.0.1", addr)
	}
	return nil
}

// loopback says whether a host name is this machine's own. No name but localhost counts: others are looked up, and may
// change what they mean (RFC 6761, section 6.3).
func loopback(host string) bool {
	host = strings.TrimSuffix(strings.ToLower(host), ".")
	if host == "localhost" || strings.HasSuffix(host, ".localhost") {
		return true
	}
	address := net.ParseIP(strings.Trim(host, "[]"))
	return address != nil && address.IsLoopback()
}
