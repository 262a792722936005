package bench

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"tandem/workbench/chat"
	"tandem/workbench/generate"
	"tandem/workbench/lab"
)

// LoadOptions say how to load a server.
type LoadOptions struct {
	// URL is the server's, such as http://127.0.0.1:8000; Token is what it asks clients for, "" if nothing.
	URL, Token string
	// Clients ask at the same time, each Requests questions one after the other. A question has Words words, two at the least, its answer at
	// most Tokens tokens.
	Clients, Requests, Words, Tokens int
}

// Validate reports the first number that cannot be.
func (o LoadOptions) Validate() error {
	if o.Clients < 1 || o.Requests < 1 || o.Words < 1 || o.Tokens < 2 {
		return fmt.Errorf("bench serve: clients %d, requests %d, words %d, tokens %d: all must be positive, and tokens at least 2", o.Clients, o.Requests, o.Words, o.Tokens)
	}
	return nil
}

// LoadResult is how a server held out under load.
type LoadResult struct {
	Model    string `json:"model"`
	Clients  int    `json:"clients"`
	Requests int    `json:"requests"`
	// Answers are the requests that were answered whole, Errors the others by status; "none" is a connection that broke.
	Answers int            `json:"answers"`
	Errors  map[string]int `json:"errors"`
	// PromptTokens and AnswerTokens are of all answers.
	PromptTokens int `json:"prompt_tokens"`
	AnswerTokens int `json:"answer_tokens"`
	// Seconds is from the first request to the last answer, TokensPerSecond the answers' tokens over it.
	Seconds         float64 `json:"seconds"`
	TokensPerSecond float64 `json:"tokens_per_second"`
	// First is the time from a request to its first piece of text, in seconds.
	First Percentiles `json:"first_seconds"`
	// SameAsAlone counts the answers whose questions got the same text when they were asked again one at a time. In
	// bfloat16 a product's rounding depends on the number of rows, so that a few greedy answers may part.
	SameAsAlone int `json:"same_as_alone"`
	// EngineTokensPerSecond is the same load on the engine itself, EngineShare the server's part of it; absent where the
	// engine is not in this process.
	EngineTokensPerSecond float64 `json:"engine_tokens_per_second,omitempty"`
	EngineShare           float64 `json:"engine_share,omitempty"`
}

// Percentiles of a time.
type Percentiles struct {
	P50 float64 `json:"p50"`
	P95 float64 `json:"p95"`
	P99 float64 `json:"p99"`
}

// percentiles are by the nearest rank; zeros where there is no value.
func percentiles(values []float64) (p Percentiles) {
	if len(values) == 0 {
		return p
	}
	values = slices.Sorted(slices.Values(values))
	at := func(percent int) float64 { return values[(len(values)*percent+99)/100-1] }
	return Percentiles{at(50), at(95), at(99)}
}

// Load puts a server under load, in four steps. service is the one that it serves, if that is in this process, else nil.
func Load(ctx context.Context, o LoadOptions, service *lab.Service, say func(string)) (LoadResult, error) {
	b := LoadResult{Clients: o.Clients, Requests: o.Requests, Errors: map[string]int{}}
	if err := o.Validate(); err != nil {
		return b, err
	}
	client := newLoadClient(o)
	defer client.http.CloseIdleConnections()
	var err error
	if b.Model, err = client.model(ctx); err != nil {
		return b, err
	}
	// 1. All ask once with other questions, so that what must be compiled is.
	say(fmt.Sprintf("warming up: %d clients ask %s once", o.Clients, b.Model))
	crowd(o.Clients, 1, func(i, _ int) { client.ask(ctx, question(o, i, o.Requests)) })
	// 2. The load.
	say(fmt.Sprintf("%d clients ask %d questions each", o.Clients, o.Requests))
	replies := make([][]reply, o.Clients)
	for i := range replies {
		replies[i] = make([]reply, o.Requests)
	}
	b.Seconds = crowd(o.Clients, o.Requests, func(i, j int) { replies[i][j] = client.ask(ctx, question(o, i, j)) })
	// 3. Every question again, alone.
	say("asking all again, one at a time")
	b.count(replies)
	crowd(1, o.Clients*o.Requests, func(_, n int) {
		i, j := n/o.Requests, n%o.Requests
		if asked := replies[i][j]; asked.problem == "" {
			if alone := client.ask(ctx, question(o, i, j)); alone.problem == "" && alone.text == asked.text {
				b.SameAsAlone++
			}
		}
	})
	if err := ctx.Err(); err != nil || service == nil || b.Answers == 0 {
		return b, err
	}
	// 4. The engine without server, chat and text.
	say("the same load on the engine itself")
	once := o
	once.Requests = 1
	if _, err = engineLoad(ctx, once, service); err != nil { // a warm-up, as the server had
		return b, err
	}
	if b.EngineTokensPerSecond, err = engineLoad(ctx, o, service); err == nil {
		b.EngineShare = b.TokensPerSecond / b.EngineTokensPerSecond
	}
	return b, err
}

// count sums up the replies.
func (b *LoadResult) count(replies [][]reply) {
	var first []float64
	for _, r := range slices.Concat(replies...) {
		if r.problem != "" {
			b.Errors[r.problem]++
			continue
		}
		b.Answers++
		b.PromptTokens += r.promptTokens
		b.AnswerTokens += r.answerTokens
		if r.first > 0 {
			first = append(first, r.first.Seconds())
		}
	}
	b.First = percentiles(first)
	b.TokensPerSecond = float64(b.AnswerTokens) / b.Seconds
}

// crowd lets clients do something at the same time, each a number of times, and gives the seconds until all are done.
func crowd(clients, times int, do func(client, time int)) float64 {
	started := time.Now()
	var all sync.WaitGroup
	for i := range clients {
		all.Go(func() {
			for j := range times {
				do(i, j)
			}
		})
	}
	all.Wait()
	return time.Since(started).Seconds()
}

// engineLoad is the same load without a server, in tokens a second.
func engineLoad(ctx context.Context, o LoadOptions, service *lab.Service) (float64, error) {
	tokens, failed := make([]int, o.Clients), make([]error, o.Clients)
	end, _ := service.Tokenizer.Special("<|assistant_end|>")
	seconds := crowd(o.Clients, o.Requests, func(i, j int) {
		prompt, err := service.Model.Template().Prompt(chat.NewConversation("").With(chat.User, question(o, i, j)))
		if err != nil {
			failed[i] = err
			return
		}
		stream, err := service.Engine.Submit(ctx, generate.Request{Prompt: prompt, MaxTokens: o.Tokens, Stop: []int32{end}})
		if err != nil {
			failed[i] = err
			return
		}
		for token, err := range stream.Tokens() {
			if err != nil {
				failed[i] = err
			} else if token.Finish == "" {
				tokens[i]++
			}
		}
	})
	sum := 0
	for _, count := range tokens {
		sum += count
	}
	return float64(sum) / seconds, errors.Join(failed...)
}

// question is one that no other client asks, nor the same one twice.
func question(o LoadOptions, client, number int) string {
	words := strings.Fields("the river runs under an old bridge while three grey birds sleep on a warm roof and rain finds every quiet street")
	text := fmt.Sprintf("%d %d", client, number)
	for i := range max(0, o.Words-2) {
		text += " " + words[(client*7+number*3+i*(1+client%5))%len(words)]
	}
	return text
}
