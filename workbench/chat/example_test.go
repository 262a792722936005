package chat_test

import (
	"context"
	"fmt"
	"log"

	"tandem/workbench/chat"
)

// A conversation is rendered for training, and continued by a model that calls the calculator. The engine here is a
// script; chat.Over makes one of a *generate.Engine.
func Example() {
	tok := bytesOnly()
	template, err := chat.NewTemplate(tok)
	if err != nil {
		log.Fatal(err)
	}
	rendered, err := template.Render(chat.NewConversation("Be brief.").With(chat.User, "Hello").With(chat.Assistant, "Hi"))
	if err != nil {
		log.Fatal(err)
	}
	for i, learned := range rendered.Mask {
		if learned {
			fmt.Printf("learned: %q\n", tok.Token(rendered.Tokens[i]))
		}
	}

	engine := &fakeEngine{capacity: 200, next: scripted(
		script("It is", special("python_start"), "6*7", special("python_end"), special("output_start"), "42", special("output_end"), "42."))}
	model, err := chat.NewModel(engine, tok)
	if err != nil {
		log.Fatal(err)
	}
	session := chat.NewSession(model, "Be brief.")
	defer session.Close()
	part := -1
	for delta, err := range session.Ask(context.Background(), "What is 6*7?", chat.Options{MaxTokens: 100}) {
		if err != nil {
			log.Fatal(err)
		}
		if delta.Part != part {
			part = delta.Part
			fmt.Printf("\n%s: ", delta.Type)
		}
		fmt.Print(delta.Text)
	}
	fmt.Println()
	// Output:
	// learned: "H"
	// learned: "i"
	// learned: "<|assistant_end|>"
	//
	// text: It is
	// python: 6*7
	// python_output: 42
	// text: 42.
}
