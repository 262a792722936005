package lab

import (
	"context"
	"fmt"
	"iter"
	"maps"
	"slices"
	"sync"
	"time"

	"tandem/workbench/chat"
	"tandem/workbench/generate"
	"tandem/workbench/session"
)

const (
	// keptStates is how many conversations keep their states on the device, and keptTexts how many are remembered at all.
	keptStates = 8
	keptTexts  = 256
)

// conversationKey names a conversation: two runs may each have one of the same name.
type conversationKey struct{ folder, name string }

// conversation is one that goes on from call to call.
type conversation struct {
	turn sync.Mutex // held while it is answered

	// local.mu guards what follows; session may be used by who holds turn as well.
	session *ChatSession      // nil before the first turn, and when its run was taken off the device
	text    chat.Conversation // what was said, while session is nil
	used    time.Time
}

// detach parts a conversation from a run that is being taken off the device. Nobody answers it then.
func (c *conversation) detach() {
	if c.session != nil {
		c.text = c.session.Conversation()
		c.session.Close()
		c.session = nil
	}
}

// Chat implements session.Workbench.
func (l *local) Chat(ctx context.Context, r session.ChatRequest) iter.Seq2[session.Piece, error] {
	return l.answering(ctx, r.ModelRequest, func(ctx context.Context, found *loadedRun, usage *session.Usage, yield func(chat.Delta) bool) error {
		talk, done, err := l.conversation(found, r)
		if err != nil {
			return err
		}
		defer done()
		options := chat.Options{MaxTokens: r.Tokens, Sampling: sampling(r.Sampling), Overflow: overflowOf(found.model)}
		for delta, err := range talk.Ask(ctx, r.Message, options) {
			if err != nil {
				return err
			}
			if !yield(delta) {
				return nil
			}
		}
		stats := talk.Stats()
		usage.Finish, usage.PromptTokens, usage.ReusedTokens = stats.Finish, stats.Last.Prompt, stats.Last.Reused
		usage.AnswerTokens, usage.TokensPerSecond = stats.Last.Answer, stats.Last.TokensPerSecond()
		return nil
	})
}

// Sample implements session.Workbench.
func (l *local) Sample(ctx context.Context, r session.SampleRequest) iter.Seq2[session.Piece, error] {
	return l.answering(ctx, r.ModelRequest, func(ctx context.Context, found *loadedRun, usage *session.Usage, yield func(chat.Delta) bool) error {
		options := chat.Options{MaxTokens: SampleOptions{Tokens: r.Tokens}.resolved().Tokens, Sampling: sampling(r.Sampling)}
		answer, err := found.chat.Complete(ctx, r.Prompt, options)
		if err != nil {
			return fmt.Errorf("sample: %w", err)
		}
		defer answer.Close()
		for delta, err := range answer.Deltas() {
			if err != nil {
				return err
			}
			if !yield(delta) {
				return nil
			}
		}
		took := answer.Usage()
		usage.Finish, usage.PromptTokens, usage.ReusedTokens = answer.Finish(), took.Prompt, took.Reused
		usage.AnswerTokens, usage.TokensPerSecond = took.Answer, took.TokensPerSecond()
		return nil
	})
}

// answering loads a run and passes on what answer says of it, then what it took.
func (l *local) answering(ctx context.Context, r session.ModelRequest,
	answer func(ctx context.Context, found *loadedRun, usage *session.Usage, yield func(chat.Delta) bool) error,
) iter.Seq2[session.Piece, error] {
	return func(yield func(session.Piece, error) bool) {
		started := time.Now()
		ctx, done, err := l.begin(ctx)
		if err != nil {
			yield(session.Piece{}, err)
			return
		}
		defer done()
		found, loadSeconds, err := l.acquire(r)
		if err != nil {
			yield(session.Piece{}, err)
			return
		}
		defer l.release(found)
		compiled := found.engine.CompileTime()
		usage := &session.Usage{Run: found.run.Name, Step: found.step, LoadSeconds: loadSeconds, SavedSeconds: found.saved(loadSeconds)}
		l.count(usage.SavedSeconds)
		left := false
		err = answer(ctx, found, usage, func(delta chat.Delta) bool {
			if usage.FirstSeconds == 0 {
				usage.FirstSeconds = time.Since(started).Seconds()
			}
			left = !yield(session.Piece{Part: delta.Part, Type: string(delta.Type), Text: delta.Text, Problem: delta.Problem}, nil)
			return !left
		})
		switch {
		case left:
		case err != nil:
			yield(session.Piece{}, explained(ctx, err))
		default:
			usage.Seconds = time.Since(started).Seconds()
			usage.CompileSeconds = (found.engine.CompileTime() - compiled).Seconds()
			yield(session.Piece{Usage: usage}, nil)
		}
	}
}

// saved is what loading and compiling took in earlier calls, for a call that spent loadSeconds itself.
func (r *loadedRun) saved(loadSeconds float64) float64 {
	if loadSeconds > 0 {
		return r.engine.CompileTime().Seconds()
	}
	return r.loadSeconds + r.engine.CompileTime().Seconds()
}

// count adds an answer to the totals.
func (l *local) count(savedSeconds float64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.answered++
	l.savedSeconds += savedSeconds
}

// conversation finds or begins the conversation of a request; done must be called after the answer.
func (l *local) conversation(found *loadedRun, r session.ChatRequest) (talk *ChatSession, done func(), err error) {
	if r.Conversation == "" {
		talk = chat.NewSession(found.chat, r.System)
		return talk, talk.Close, nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	key := conversationKey{absolute(found.run.Folder), r.Conversation}
	c := l.conversations[key]
	if c == nil {
		c = &conversation{}
	}
	if !c.turn.TryLock() {
		return nil, nil, fmt.Errorf("conversation %q with %s is being answered; wait for that, or use another name", r.Conversation, found.run.Name)
	}
	defer func() {
		if err != nil {
			c.turn.Unlock()
		}
	}()
	if c.session == nil {
		c.session = chat.NewSession(found.chat, "")
		if err := c.session.SetConversation(c.text); err != nil {
			return nil, nil, fmt.Errorf("conversation %q: %w", r.Conversation, err)
		}
	}
	if r.Reset {
		c.session.Clear()
	}
	if r.System != "" && r.System != c.session.System() {
		if err := c.session.SetSystem(r.System); err != nil {
			return nil, nil, fmt.Errorf("conversation %q: %w", r.Conversation, err)
		}
	}
	c.used = time.Now()
	l.conversations[key] = c
	l.forgetConversations()
	return c.session, func() {
		l.mu.Lock()
		c.used = time.Now()
		l.mu.Unlock()
		c.turn.Unlock()
	}, nil
}

// forgetConversations frees the states of conversations unused for long, and drops those unused longest. l.mu must be held.
func (l *local) forgetConversations() {
	keys := slices.SortedFunc(maps.Keys(l.conversations), func(a, b conversationKey) int {
		return l.conversations[a].used.Compare(l.conversations[b].used)
	})
	for i, key := range keys {
		c, newer := l.conversations[key], len(keys)-1-i
		if newer < keptStates || !c.turn.TryLock() {
			continue
		}
		if c.session != nil {
			c.session.Close() // frees the state, and keeps the text
		}
		if newer >= keptTexts {
			delete(l.conversations, key)
		}
		c.turn.Unlock()
	}
}

// sampling is the engine's of the request's.
func sampling(s session.Sampling) generate.Sampling {
	return generate.Sampling{
		Temperature: s.Temperature, TopK: s.TopK, TopP: s.TopP, MinP: s.MinP, RepetitionPenalty: s.RepetitionPenalty, Seed: s.Seed,
	}
}
