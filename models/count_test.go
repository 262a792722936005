package models_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"tandem/models"
)

func TestParameterCountsAreThoseOfTheSeedModel(t *testing.T) {
	for pattern, want := range map[string]int{
		"T20": 560_988_160, "M20": 375_388_160, "T12 M8": 486_748_160, "(TM)10": 468_188_160,
	} {
		t.Run(pattern, func(t *testing.T) {
			parsed, err := models.ParsePattern(pattern)
			require.NoError(t, err)
			model, err := models.New(models.Config{Pattern: parsed, Vocab: 65536})
			require.NoError(t, err)
			require.Equal(t, 1280, model.Config.Width)
			require.Equal(t, want, model.Parameters())
			sum := 0
			for _, row := range model.Account().Rows {
				sum += row.Parameters
			}
			require.Equal(t, want, sum)
		})
	}
}
