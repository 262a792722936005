package config_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"tandem/models"
	"tandem/workbench/config"
)

// write makes a configuration file and moves into its folder, so that errors have its bare name.
func write(t testing.TB, text string) string {
	t.Helper()
	t.Chdir(t.TempDir())
	require.NoError(t, os.WriteFile("some.yaml", []byte(text), 0o644))
	return "some.yaml"
}

func TestAFileOfAnotherSystemIsReadToo(t *testing.T) {
	c, err := config.Load(write(t, "\uFEFFdepth: 2\r\nvocab: 300\t# small\r\nsample_prompt: a\tb c\t # not\tthis\r\n"), nil)
	require.NoError(t, err)
	require.Equal(t, "a\tb c", c.Sample.Prompt)
	require.Equal(t, models.Pattern("TT"), c.Model.Pattern)
	require.Equal(t, 300, c.Model.Vocab)
}

func TestAFileIsReadOntoTheDefaultsAndOverridesOntoTheFile(t *testing.T) {
	name := write(t, `# a comment
pattern: T2 M
vocab: 300
matrix_lr: 1e-3
mamba: {state: 8, mlp: true}
transformer:
  head_dim: 32
transformer.kv_heads: 2
run: 001
sample_prompt: |
  two
  lines
sample_temperature: 0
seed: 18446744073709551615
`)
	c, err := config.Load(name, []string{"mamba.state=4", "steps=7", "steps=8", "sample_prompt=a=b"})
	require.NoError(t, err)
	require.Equal(t, "some", c.Name)
	require.Equal(t, "001", c.Run)
	require.Equal(t, models.Pattern("TTM"), c.Model.Pattern)
	require.Equal(t, 300, c.Model.Vocab)
	require.Equal(t, 1e-3, c.Train.MatrixLR)
	require.Equal(t, uint64(1<<64-1), c.Train.Seed)
	require.Equal(t, 8, c.Train.Steps)
	require.Equal(t, config.Sample{Prompt: "a=b", Tokens: config.Default().Sample.Tokens}, c.Sample)
	require.Equal(t, config.Default().Data, c.Data)

	resolved := c.Resolved()
	require.Equal(t, 256, resolved.Model.Width)
	require.Equal(t, 0, c.Model.Width, "resolving changed the original")
	explained := map[string]any{}
	for _, derived := range c.Derived() {
		explained[derived.Key] = derived.Value
	}
	require.Equal(t, 4, explained["mamba.state"])
	require.Equal(t, true, explained["mamba.mlp"])
	require.Equal(t, 32, explained["transformer.head_dim"])
	require.Equal(t, 2, explained["transformer.kv_heads"])
	require.Equal(t, 8*2048, explained["tokens_per_step"])
	require.Equal(t, 8*8*2048, explained["tokens"])
}

func TestThePatternMayBeAStringAListOrADepth(t *testing.T) {
	for text, want := range map[string]string{
		"pattern: (tm)2":                       "TMTM",
		"pattern: 'T2 M'":                      "TTM",
		"pattern: [T, m, transformer]":         "TMT",
		"pattern:\n  - T\n  - \"mamba\"":       "TM",
		"depth: 3":                             "TTT",
		"depth: 3\npattern: T2 M":              "TTM",
		"pattern: M3\nmamba:\n  state: 8":      "MMM",
		"{pattern: M3, depth: 3}":              "MMM",
		"# nothing but\n---\npattern: MT\n...": "MT",
	} {
		t.Run(text, func(t *testing.T) {
			c, err := config.Load(write(t, text), nil)
			require.NoError(t, err)
			require.Equal(t, want, string(c.Model.Pattern))
		})
	}
}

func TestDepthAndPatternMustAgree(t *testing.T) {
	for _, test := range []struct {
		name, file string
		overrides  []string
		want       string // the pattern, or a part of the error
	}{
		{"depth alone is all transformer", "", []string{"depth=6"}, "T6"},
		{"a pattern alone replaces the default's", "", []string{"pattern=M6"}, "M6"},
		{"they agree", "", []string{"depth=6", "pattern=M6"}, "M6"},
		{"they do not agree", "", []string{"depth=5", "pattern=M6"}, "depth 5: the pattern M6 has 6 layers"},
		{"a depth beside the file's pattern", "pattern: T2 M", []string{"depth=3"}, "T2 M"},
		{"a depth against the file's pattern", "pattern: T2 M", []string{"depth=4"}, "depth 4: the pattern T2 M has 3 layers; leave depth out"},
		{"a depth for the file's depth", "depth: 3", []string{"depth=4"}, "T4"},
		{"a pattern for the file's depth", "depth: 3", []string{"pattern=M4"}, "M4"},
		{"disagreement in the file", "depth: 3\npattern: M4", nil, "some.yaml:1:8: depth 3: the pattern M4 has 4 layers"},
		{"no layers", "", []string{"depth=0"}, `depth "0": write a whole number of layers, from 1`},
		{"half a layer", "", []string{"depth=1.5"}, `depth "1.5": write a whole number of layers, from 1`},
		{"too many layers", "", []string{"depth=5000"}, "more than 4096 layers"},
		{"a list of depths", "depth: [1, 2]", nil, `some.yaml:1:8: depth "1, 2"`},
	} {
		t.Run(test.name, func(t *testing.T) {
			name := ""
			if test.file != "" {
				name = write(t, test.file)
			}
			c, err := config.Load(name, test.overrides)
			if err != nil {
				require.Contains(t, err.Error(), test.want)
				require.NotContains(t, err.Error(), "\n")
				return
			}
			require.Equal(t, test.want, c.Model.Pattern.String())
		})
	}
}

func TestAPatternOfOnesOwnTakesOnlyVocabAndContextFromTiny(t *testing.T) {
	tiny, err := config.Load("tiny", nil)
	require.NoError(t, err)
	c, err := config.Load("", []string{"pattern=T12 M8"})
	require.NoError(t, err)
	require.Equal(t, models.Config{Pattern: c.Model.Pattern, Vocab: tiny.Model.Vocab, Context: tiny.Model.Context}, c.Model)
	require.Equal(t, 1280, c.Model.Resolved().Width)
	require.Equal(t, tiny.Train, c.Train)

	named, err := config.Load("tiny", []string{"pattern=T4"})
	require.NoError(t, err)
	require.Equal(t, tiny.Model.Width, named.Model.Width, "a configuration that was asked for keeps its width")
}

func TestTimeAndNumberOfStepsAreNotAskedForAtOnce(t *testing.T) {
	_, err := config.Load("", []string{"steps=5", "minutes=1"})
	require.EqualError(t, err, "steps and minutes both say how long to train; give one")
	c, err := config.Load("", []string{"steps=5", "minutes=0"})
	require.NoError(t, err)
	require.Equal(t, 5, c.Train.Steps)
	require.Error(t, c.Override([]string{"minutes=1", "steps=5"}))
	require.NoError(t, c.Override([]string{"minutes=1"}), "a time takes the place of the steps before it")
}

func TestMistakesAreOneLineWithPlaceKeyAndRemedy(t *testing.T) {
	for _, test := range []struct{ name, file, want string }{
		{"an unknown key", "pattern: T2\nstepps: 5", `some.yaml:2:1: unknown key "stepps"; did you mean "steps"? there are run, pattern, depth, `},
		{"an unknown option", "pattern: M\nmamba: {stat: 5}", `some.yaml:2:9: unknown key "mamba.stat"; did you mean "mamba.state"? there are mamba.state, mamba.conv`},
		{"an option without its kind", "pattern: M\nkv_heads: 5", `some.yaml:2:1: unknown key "kv_heads"; did you mean "transformer.kv_heads"?`},
		{"nothing near", "zzzzzzzzzz: 1", `some.yaml:1:1: unknown key "zzzzzzzzzz"; there are run`},
		{"a dash for an underscore", "weight-decay: 1", `did you mean "weight_decay"?`},
		{"a word for a number", "pattern: T2\n\nsteps: many", `some.yaml:3:8: steps "many": write a whole number such as 8`},
		{"text for a number", `steps: "5"`, `some.yaml:1:8: steps "5": this is text in quotes; write a whole number`},
		{"a fraction of a step", "steps: 1.5", `some.yaml:1:8: steps "1.5": write a whole number`},
		{"a number out of range", "steps: 99999999999999999999", `some.yaml:1:8: steps "99999999999999999999": out of range`},
		{"a negative seed", "seed: -1", `some.yaml:1:7: seed "-1": write a whole number from 0`},
		{"not a number", "softcap: .nan", `some.yaml:1:10: softcap ".nan": write a number`},
		{"NaN", "softcap: NaN", `softcap "NaN": `},
		{"infinity", "matrix_lr: Inf", `matrix_lr "Inf": `},
		{"yes for true", "pattern: M\nmamba:\n  mlp: yes", `some.yaml:3:8: mamba.mlp "yes": write true or false`},
		{"a list for a number", "steps: [1, 2]", `some.yaml:1:8: steps ["1" "2"]: takes one value, not a list`},
		{"a mapping for a number", "steps: {a: 1}", `some.yaml:1:`},
		{"a number for a mapping", "mamba: 5", `some.yaml:1:1: mamba: this is a group of keys; there are mamba.state`},
		{"no value", "pattern: T2\nsteps:", `steps: it has no value; give one, or leave the key out for its default`},
		{"an unknown block", "vocab: 300\npattern: T2 X", `some.yaml:2:10: pattern "T2 X": column 4: unknown block 'X'; there are T (transformer), M (mamba)`},
		{"an unknown block in a list", "pattern: [T, X]", `some.yaml:1:10: pattern entry 2: unknown block "X"; there are T (transformer)`},
		{"a list in the list", "pattern: [T, [M]]", `some.yaml:1:14: pattern: write single values in the list`},
		{"an empty pattern", "pattern: []", `some.yaml:1:10: pattern []: it is empty`},
		{"a small vocabulary", "pattern: T2\nvocab: 264", `some.yaml:2:8: vocab 264: too small, for 256 bytes and 9 special tokens need an id each; give at least 265`},
		{"a negative number", "pattern: T2\nsteps: -5", `some.yaml:2:8: steps -5: must lie between 1 and`},
		{"a zero that would be the default", "pattern: T2\nfinal_lr: 0", `some.yaml:2:11: final_lr 0: leave it out for 0.05, or write a number above 0`},
		{"a whole zero that would be", "pattern: M\nmamba: {state: 0}", `some.yaml:2:16: mamba.state 0: leave it out for 16, or write a number from 1`},
		{"a zero for no limit", "pattern: T\nspike_limit: 0", `some.yaml:2:14: spike_limit 0: leave it out for 10, or write a number above 0; negative is no limit`},
		{"a zero for all", "pattern: T\nkeep: 0", `some.yaml:2:7: keep 0: leave it out for 2, or write a number from 1; negative is all`},
		{"an option that does not fit", "pattern: M\nmamba:\n  state: 300", `some.yaml:3:10: mamba.state 300: more than 256 states`},
		{"options that cannot be", "pattern: M\nmamba:\n  state: 8\n  conv: -3", `some.yaml:4:9: mamba.conv -3: may not be negative; leave it out for the default`},
		{"a fraction that cannot be", "pattern: T\ntransformer: {rope_base: -0.5}", `some.yaml:2:26: transformer.rope_base -0.5: may not be negative; leave it out for the default`},
		{"too many tokens", "pattern: T\nsteps: 1000000000\nbatch: 1000000\naccumulate: 1000000", `some.yaml:2:8: steps · batch · accumulate · context is`},
		{"a sample of nothing", "pattern: T\nsample_tokens: 0", `some.yaml:2:16: sample_tokens 0: must lie between 1 and`},
		{"a hot sample", "pattern: T\nsample_temperature: 101", `some.yaml:2:21: sample_temperature 101: must lie between 0 and 100`},
		{"no pattern", "vocab: 300", `some.yaml: model: it has no pattern`},
		{"an empty file", "", `some.yaml: model: it has no pattern`},
		{"a key twice", "steps: 5\nsteps: 6", `some.yaml:2:1: this is not YAML: mapping key "steps" already defined`},
		{"an option twice", "mamba: {state: 5}\nmamba.state: 6", `some.yaml:2:1: mamba.state: it is given twice`},
		{"an anchor", "steps: &a 5", `some.yaml:1:8: steps: write one plain value here`},
		{"a merge", "<<: {steps: 5}", `unknown key "<<"`},
		{"a list", "- steps", `some.yaml:1:1: write lines of KEY: VALUE`},
		{"a word", "steps", `some.yaml:1:1: write lines of KEY: VALUE`},
		{"two documents", "steps: 5\n---\nsteps: 6", `a second document begins here`},
		{"broken syntax", "steps: [1", `some.yaml:1:8: this is not YAML: `},
		{"a tab", "mamba:\n\tstate: 1", `this is not YAML: `},
		{"bytes", "steps: \xff", `some.yaml: this is not UTF-8 text`},
		{"a large file", strings.Repeat("#", 1<<17), `read configuration "some.yaml": it is larger than 16384 bytes`},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := config.Load(write(t, test.file), nil)
			require.ErrorContains(t, err, test.want)
			require.NotContains(t, err.Error(), "\n")
		})
	}
}

func TestAMistakeInAnOverrideNamesIt(t *testing.T) {
	for override, want := range map[string]string{
		"steps":         `override "steps": write KEY=VALUE`,
		"stepps=4":      `unknown key "stepps"; did you mean "steps"?`,
		"steps=many":    `steps "many": write a whole number`,
		"vocab=264":     `vocab 264: too small, for 256 bytes`,
		"pattern=T2 X":  `pattern "T2 X": column 4: unknown block 'X'`,
		"pattern=":      `pattern "": it is empty`,
		"mamba.state=x": `mamba.state "x": write a whole number`,
		"name=x":        `unknown key "name"`,
		"mamba=5":       `mamba: this is a group of keys`,
	} {
		t.Run(override, func(t *testing.T) {
			_, err := config.Load("tiny", []string{override})
			require.ErrorContains(t, err, want)
			require.True(t, strings.HasPrefix(err.Error(), want), "%v", err)
		})
	}
}

func TestAConfigurationThatIsNotThereIsNamedWithThoseThatAre(t *testing.T) {
	t.Chdir(t.TempDir())
	_, err := config.Load("tinny", nil)
	require.EqualError(t, err, `read configuration "tinny": no such file or directory; did you mean "tiny"? give a YAML file or one of `+
		strings.Join(config.Names(), ", "))
	_, err = config.Load(".", nil)
	require.ErrorContains(t, err, `read configuration ".": is a directory`)
	_, err = config.Load(filepath.Join("a\nb", "c.yaml"), nil)
	require.NotContains(t, err.Error(), "\n")
}

func TestAFailedOverrideChangesNothing(t *testing.T) {
	c, err := config.Load("tiny", []string{"mamba.state=8"})
	require.NoError(t, err)
	before := c.Derived()
	require.Error(t, c.Override([]string{"steps=5", "mamba.state=9", "depth=99"}))
	require.Error(t, c.Override([]string{"mamba.state=999"}))
	require.Equal(t, before, c.Derived())
	require.NoError(t, c.Override([]string{"mamba.state=9"}))
	require.NotEqual(t, before, c.Derived())
}

func TestStepsTakeThePlaceOfTheTimeBeforeThem(t *testing.T) {
	c, err := config.Load("", []string{"minutes=3"})
	require.NoError(t, err)
	require.NoError(t, c.Override([]string{"batch=2"}))
	require.Equal(t, 3.0, c.Train.Minutes)
	require.NoError(t, c.Override([]string{"steps=500"}))
	require.Zero(t, c.Train.Minutes)
	require.Equal(t, 500, c.Train.Resolved().Steps)
}
