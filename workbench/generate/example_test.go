package generate_test

import (
	"context"
	"fmt"
	"log"

	"github.com/gomlx/gomlx/core/tensors"

	"tandem/models"
	"tandem/workbench/generate"
	"tandem/xla"
)

// A request is continued, its state kept, and the conversation goes on from there. The model is untrained, so every token
// is equally likely and the one with the lowest id is taken.
func Example() {
	device, err := xla.Open("go")
	if err != nil {
		log.Fatal(err)
	}
	defer device.Finalize()
	model, err := models.New(models.Config{Pattern: "TM", Width: 16, Vocab: 32, Context: 64})
	if err != nil {
		log.Fatal(err)
	}
	var weights []*tensors.Tensor
	for i, values := range model.Init(1) {
		weights = append(weights, tensors.FromFlatDataAndDimensions(values, model.Weights()[i].Shape...))
	}
	engine, err := generate.New(device, model, weights, generate.Options{})
	if err != nil {
		log.Fatal(err)
	}
	defer engine.Close()

	stream, err := engine.Submit(context.Background(), generate.Request{Prompt: []int32{7, 8, 9}, MaxTokens: 2, Keep: true})
	if err != nil {
		log.Fatal(err)
	}
	for token, err := range stream.Tokens() {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Printf("token %d, finish %q\n", token.ID, token.Finish)
	}
	snapshot := stream.Snapshot()
	defer snapshot.Release()
	fmt.Println("the state has been fed", snapshot.Tokens())

	prompts := [][]int32{{1, 2}, {3}}
	for token, err := range engine.Generate(context.Background(), prompts, generate.GenerateOptions{MaxTokens: 1, Stop: []int32{0}}) {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println("row", token.Row, token.Finish, token.ID)
	}
	// Output:
	// token 0, finish ""
	// token 0, finish ""
	// token -1, finish "length"
	// the state has been fed [7 8 9 0]
	// row 0 stop 0
	// row 1 stop 0
}
