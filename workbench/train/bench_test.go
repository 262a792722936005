package train_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"tandem/blocks"
	"tandem/models"
	"tandem/tests/testkit"
	"tandem/workbench/train"
)

// BenchmarkStep measures whole optimizer steps of small models of each kind: vocabulary 4096, 8 rows of 256 tokens.
func BenchmarkStep(b *testing.B) {
	for _, pattern := range []string{"TMTM", "TTTT", "MMMM"} {
		b.Run(pattern+"_width128_tokens2048", func(b *testing.B) {
			parsed, err := models.ParsePattern(pattern)
			require.NoError(b, err)
			model, err := models.New(models.Config{Pattern: parsed, Width: 128, Vocab: 4096, Context: 256,
				Blocks: blocks.Configs{"transformer": &blocks.Transformer{HeadDim: 32}}})
			require.NoError(b, err)
			trainer, err := train.New(testkit.Device(b), model, train.Options{})
			require.NoError(b, err)
			defer trainer.Close()
			batch := train.Batch{Tokens: make([]int32, 2048), Targets: make([]int32, 2048), Documents: make([]int32, 2048)}
			for i := range batch.Tokens {
				batch.Tokens[i], batch.Targets[i] = int32(i*7919%4096), int32(i*104729%4096)
			}
			step := func() {
				require.NoError(b, trainer.Step([]train.Batch{batch}))
				_, err := trainer.Flush()
				require.NoError(b, err)
			}
			step()
			for b.Loop() {
				step()
			}
			b.ReportMetric(2048*float64(b.N)/b.Elapsed().Seconds(), "tokens/s")
		})
	}
}
