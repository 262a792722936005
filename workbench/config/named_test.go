package config_test

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"tandem/models"
	"tandem/workbench/config"
)

const folder = "../../configs"

// build loads a configuration and makes its model.
func build(t testing.TB, name string, overrides ...string) *models.Model {
	t.Helper()
	c, err := config.Load(name, overrides)
	require.NoError(t, err)
	model, err := models.New(c.Model)
	require.NoError(t, err)
	return model
}

func TestEveryFileInConfigsLoadsAndBuilds(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(folder, "*.yaml"))
	require.NoError(t, err)
	var names []string
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".yaml")
		names = append(names, name)
		t.Run(name, func(t *testing.T) {
			fromDisk, err := config.Load(file, nil)
			require.NoError(t, err)
			embedded, err := config.Load(name, nil)
			require.NoError(t, err)
			require.Equal(t, fromDisk, embedded)
			require.Positive(t, build(t, name).Parameters())
		})
	}
	require.Equal(t, names, config.Names())
}

func TestFilesHoldNothingThatIsTheDefaultAnyway(t *testing.T) {
	key := regexp.MustCompile(`(?m)^([a-z_]+):.*\n`)
	for _, name := range config.Names() {
		whole, err := os.ReadFile(filepath.Join(folder, name+".yaml"))
		require.NoError(t, err)
		require.Regexp(t, `^# .+\n[^#]+$`, string(whole), "%s: one line of comment, then keys", name)
		c, err := config.Load(name, nil)
		require.NoError(t, err)
		for _, line := range key.FindAllString(string(whole), -1) {
			if strings.HasPrefix(line, "pattern:") {
				continue
			}
			without := filepath.Join(t.TempDir(), name+".yaml")
			require.NoError(t, os.WriteFile(without, []byte(strings.Replace(string(whole), line, "", 1)), 0o644))
			shorter, err := config.Load(without, nil)
			require.NoError(t, err)
			require.NotEqual(t, c.Resolved(), shorter.Resolved(), "%s: %q changes nothing", name, line)
		}
	}
}

func TestTheNamedModelsHaveTheirNumbersOfParameters(t *testing.T) {
	for name, want := range map[string]int{
		"transformer_d20": 560_988_160, "mamba_d20": 375_388_160,
		"hybrid_early_t_late_m_d20": 486_748_160, "hybrid_alternating_d20": 468_188_160,
	} {
		t.Run(name, func(t *testing.T) {
			model := build(t, name)
			require.Equal(t, want, model.Parameters())
			require.Equal(t, 65536, model.Config.Vocab)
			require.Equal(t, 2048, model.Config.Context)
		})
	}
}

func TestTheHybridForEightGigabytesHasTwelveToSixteenLayers(t *testing.T) {
	model := build(t, "rtx3070_d16")
	require.Equal(t, 16, model.Config.Pattern.Depth())
	require.Contains(t, string(model.Config.Pattern), "T")
	require.Contains(t, string(model.Config.Pattern), "M")
	require.Equal(t, 1024, model.Config.Context)
}

func TestTheCountsInTheREADMEAreTheComputedOnes(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(folder, "README.md"))
	require.NoError(t, err)
	row := regexp.MustCompile("(?m)^\\| ([^|]+) \\| `([^`]+)` \\| ([0-9,]+) \\|")
	listed := map[string]bool{}
	for _, cells := range row.FindAllStringSubmatch(string(text), -1) {
		pattern, count := cells[2], strings.ReplaceAll(cells[3], ",", "")
		name := strings.Trim(cells[1], "`")
		listed[name], listed[pattern] = true, true
		model := build(t, "transformer_d20", "pattern="+pattern) // a strategy, in the shape of d20
		if name != cells[1] {
			model = build(t, name)
		}
		require.Equal(t, pattern, model.Config.Pattern.String(), name)
		require.Equal(t, count, fmt.Sprint(model.Parameters()), name)
	}
	for _, expected := range append(config.Names(), "T12 M8", "(TM)10", "T2 M7 T M6 T M T2", "M20", "T20") {
		require.True(t, listed[expected], "README.md has no row with %s", expected)
	}
}
