package config_test

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"tandem/models"
	"tandem/workbench/config"
)

func TestAConfigurationSurvivesJSONWithItsDefaultsFilledIn(t *testing.T) {
	for _, name := range config.Names() {
		t.Run(name, func(t *testing.T) {
			c, err := config.Load(name, []string{"mamba.mlp=true", "seed=18446744073709551615", "weight_decay=0.1"})
			require.NoError(t, err)
			text, err := json.Marshal(struct{ Config *config.Config }{c})
			require.NoError(t, err)
			var read struct{ Config *config.Config }
			require.NoError(t, json.Unmarshal(text, &read))
			require.Equal(t, c.Resolved(), *read.Config)
			require.Equal(t, c.Derived(), read.Config.Derived())
			again, err := json.Marshal(read)
			require.NoError(t, err)
			require.JSONEq(t, string(text), string(again))
			require.NotZero(t, read.Config.Train.Warmup)
			require.NoError(t, read.Config.Override([]string{"steps=9"}))
			require.Equal(t, 9, read.Config.Train.Steps)
		})
	}
}

func TestJSONFromBeforeAFieldExistedHasItsDefault(t *testing.T) {
	var c config.Config
	require.NoError(t, json.Unmarshal([]byte(`{"model": {"depth": 2, "width": 64}, "train": {"steps": 3}}`), &c))
	require.Equal(t, models.Pattern("TT"), c.Model.Pattern)
	require.Equal(t, config.Default().Sample, c.Sample)
	require.Equal(t, config.Default().Data, c.Data)
	require.NoError(t, c.Validate())
}

func TestBadJSONIsAnError(t *testing.T) {
	for text, want := range map[string]string{
		`{"model": {"pattern": "T2 X"}}`:                     "unknown block",
		`{"model": {"pattern": "T", "blocks": {"rnn": {}}}}`: "unknown kind",
		`{"train": {"steps": "many"}}`:                       "steps",
		`{"model": {"blocks": {"mamba": {"stat": 3}}}}`:      "stat",
		`{"model": {"pattern": ["T", "rnn"]}, "train": {}}`:  "unknown block",
		`[]`: "array",
	} {
		t.Run(text, func(t *testing.T) {
			c := config.Default()
			require.ErrorContains(t, json.Unmarshal([]byte(text), &c), want)
			require.Equal(t, config.Default(), c)
		})
	}
}
