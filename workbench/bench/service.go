package bench

import (
	"fmt"
	"iter"
	"math"
	"time"

	"tandem/models"
	"tandem/workbench/chat"
	"tandem/workbench/config"
	"tandem/workbench/generate"
	"tandem/workbench/lab"
	"tandem/workbench/tokenizer"
	"tandem/xla"
)

// RandomService is a Service of a model with random weights and a made-up tokenizer of its vocabulary, to measure serving
// without a run. Close it.
func RandomService(c *config.Config, o lab.ServeOptions, say func(string)) (*lab.Service, error) {
	model, err := models.New(c.Model)
	if err != nil {
		return nil, err
	}
	tok, err := madeUpTokenizer(model.Config.Vocab)
	if err != nil {
		return nil, err
	}
	device, err := xla.Open(c.Backend)
	if err != nil {
		return nil, err
	}
	say(device.Summary())
	engine, err := generate.New(device, model, randomWeights(model), generate.Options{Rows: o.Rows, Queue: math.MaxInt32})
	if err != nil {
		device.Finalize()
		return nil, err
	}
	run := &lab.Run{Name: "random", Info: lab.Info{
		Name: "random", Created: time.Now(), Config: c, Pattern: model.Config.Pattern.String(), Parameters: model.Parameters(),
	}}
	opened := &lab.Chat{Run: run, Device: device, Tokenizer: tok, Engine: engine}
	if opened.Model, err = chat.NewModel(chat.Over(engine), tok); err != nil {
		opened.Close()
		return nil, err
	}
	return lab.NewService(opened, model, o.Queue), nil
}

// madeUpTokenizer has vocab tokens, learned from all words of four of the first letters: each becomes a token.
func madeUpTokenizer(vocab int) (*tokenizer.Tokenizer, error) {
	letters := 1
	for letters*letters*letters*letters < vocab {
		letters++
	}
	if letters > 26 {
		return nil, fmt.Errorf("random model: vocabulary %d: a tokenizer can be made up for at most %d", vocab, 26*26*26*26)
	}
	var words iter.Seq2[string, error] = func(yield func(string, error) bool) {
		word := make([]byte, 5)
		for n := range letters * letters * letters * letters {
			word[0] = ' '
			for i := 1; i < len(word); i++ {
				word[i] = byte('a' + n%letters)
				n /= letters
			}
			if !yield(string(word), nil) {
				return
			}
		}
	}
	return tokenizer.Train(words, vocab)
}
