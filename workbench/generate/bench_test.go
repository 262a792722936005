package generate_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"tandem/models"
	"tandem/tests/testkit"
	"tandem/workbench/generate"
)

// BenchmarkDecode measures a model of the default run's size, 1.5 to 2 million parameters: tokens/s of all rows together.
func BenchmarkDecode(b *testing.B) {
	for _, pattern := range []string{"T4", "M4", "T2 M2"} {
		for _, rows := range []int{1, 8} {
			for name, sampling := range map[string]generate.Sampling{"greedy": {}, "sampled": {Temperature: 0.8, TopK: 40, TopP: 0.95}} {
				b.Run(fmt.Sprintf("%s/rows=%d/%s", pattern, rows, name), func(b *testing.B) {
					f := newFixture(b, testkit.Device(b), pattern, models.Config{Width: 128, Vocab: 4096, Context: 256})
					engine, err := generate.New(f.device, f.model, f.weights, generate.Options{})
					require.NoError(b, err)
					defer engine.Close()
					prompts := make([][]int32, rows)
					for i := range prompts {
						prompts[i] = randomTokens(uint64(i), 8)
					}
					run := func(tokens int) {
						for _, err := range engine.Generate(context.Background(), prompts, generate.GenerateOptions{MaxTokens: tokens, Sampling: sampling}) {
							require.NoError(b, err)
						}
					}
					run(1) // compiles
					const tokens = 64
					for b.Loop() {
						run(tokens)
					}
					b.ReportMetric(float64(b.N*tokens*rows)/b.Elapsed().Seconds(), "tokens/s")
				})
			}
		}
	}
}

// BenchmarkPrefill measures the feeding of a prompt of 256 tokens.
func BenchmarkPrefill(b *testing.B) {
	for _, pattern := range []string{"T4", "M4"} {
		b.Run(pattern, func(b *testing.B) {
			f := newFixture(b, testkit.Device(b), pattern, models.Config{Width: 128, Vocab: 4096, Context: 512})
			engine, err := generate.New(f.device, f.model, f.weights, generate.Options{})
			require.NoError(b, err)
			defer engine.Close()
			prompts := [][]int32{randomTokens(1, 257)}
			run := func() {
				for _, err := range engine.Generate(context.Background(), prompts, generate.GenerateOptions{MaxTokens: 1}) {
					require.NoError(b, err)
				}
			}
			run() // compiles
			for b.Loop() {
				run()
			}
			b.ReportMetric(float64(b.N*256)/b.Elapsed().Seconds(), "tokens/s")
		})
	}
}
