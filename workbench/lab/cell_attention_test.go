package lab

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"tandem/workbench/plot"
)

func TestAttentionIsDrawnAndSummedUp(t *testing.T) {
	elsewhere(t)
	s := watched(t)
	run := Train(Model("T M T", Width(16), Vocab(300), Context(64), Batch(1), Data("corpus"), Backend("go"), Name("first"),
		Set("transformer.head_dim", 4), Set("eval_batches", 1), Set("sample_tokens", 2)), Steps(1))
	a := ShowAttention(run, `The "rain"`+"\n", Layer(2))
	require.NoError(t, a.Err())
	require.Equal(t, []int{0, 2}, a.Layers)
	require.Equal(t, "<|bos|>", a.Tokens[0])
	require.Equal(t, `\n`, a.Tokens[len(a.Tokens)-1])
	require.Contains(t, strings.Join(a.Tokens, ""), `·"`)
	for _, heads := range a.Weights {
		require.Len(t, heads, 4)
		for _, weights := range heads {
			for i, row := range weights {
				require.Len(t, row, i+1)
				require.InDelta(t, 1, sumOf(row), 1e-5)
			}
		}
	}
	panel := s.panels[len(s.panels)-1]
	require.Len(t, panel.Picture, 4, "heads")
	require.Contains(t, panel.Picture.String(), "layer 2, head 3")
	require.Len(t, panel.Tables, 3)
	require.Equal(t, []string{"tokens looked back", "head 0", "head 1", "head 2", "head 3"}, panel.Tables[0].Heading)
	require.Equal(t, []string{"layer 0", "layer 2", "spread evenly"}, []string{panel.Tables[0].Rows[0][0], panel.Tables[0].Rows[1][0], panel.Tables[0].Rows[2][0]})
	require.Contains(t, panel.Note, "Its other layers carry a state instead: 1 (M).")

	one := ShowAttention(run, "rain", Head(3))
	require.Len(t, one.Picture(), 1)
	require.Contains(t, one.Picture().String(), "layer 0, head 3")
	require.NoError(t, one.Save("attention.svg"))
	require.ErrorContains(t, one.Save("attention.gif"), "must end in one of .svg, .png")
}

func TestAttentionThatCannotBeDrawnSaysWhy(t *testing.T) {
	elsewhere(t)
	watched(t)
	run, scans := Train(small("first"), Steps(1)), Train(small("scans", Set("pattern", "M2")), Steps(1))
	for name, c := range map[string]struct {
		run     *Run
		text    string
		options []AttentionOption
		problem string
	}{
		"a pattern without T": {scans, "rain", nil, "show attention of scans: pattern M2 has no T layer, so no weights to draw; its layers carry a state instead: 0-1 (M); lab.ShowScan shows how"},
		"no text":             {run, "", nil, `show attention of first: the text "" is empty; give one for its tokens to look back at`},
		"too long a text": {run, strings.Repeat("+", 64), nil,
			"show attention of first: the text has 65 tokens with its <|bos|>; at most 64 can be drawn with a context of 64, so shorten it"},
		"a layer beyond the last": {run, "rain", []AttentionOption{Layer(2)}, "show attention of first: layer 2: of the layers 0 to 1 of M T, those with attention are 1"},
		"a layer of another kind": {run, "rain", []AttentionOption{Layer(0)}, "show attention of first: layer 0: of the layers 0 to 1 of M T, those with attention are 1"},
		"a layer below zero":      {run, "rain", []AttentionOption{Layer(-1)}, "show attention of first: layer -1: of the layers 0 to 1 of M T, those with attention are 1"},
		"a head beyond the last":  {run, "rain", []AttentionOption{Head(1)}, "show attention of first: head 1: layer 1 has the heads 0 to 0"},
		"a head below zero":       {run, "rain", []AttentionOption{Head(-1)}, "show attention of first: head -1: layer 1 has the heads 0 to 0"},
	} {
		t.Run(name, func(t *testing.T) {
			a := ShowAttention(c.run, c.text, c.options...)
			require.EqualError(t, a.Err(), c.problem)
			require.EqualError(t, a.Show().Save("attention.svg"), c.problem)
			require.Empty(t, a.Picture())
		})
	}
	require.ErrorContains(t, ShowAttention(Open("nobody"), "rain").Err(), "there is no folder")
}

func TestAttentionIsMeasuredOverTheTokensThatHaveAChoice(t *testing.T) {
	a := &Attention{Tokens: []string{"a", "b", "c"}, Layers: []int{4}, Weights: [][][][]float64{{
		{{1}, {1, 0}, {0.5, 0, 0.5}},
		{{1}, {0, 1}, {0, 0, 1}},
	}}}
	var got [][]string
	for _, table := range a.tables() {
		got = append(got, table.Heading[:1])
		got = append(got, table.Rows...)
	}
	require.Equal(t, [][]string{
		{"tokens looked back"}, {"layer 4", "1.00", "0.00"}, {"spread evenly", "0.75", "0.75"},
		{"entropy, bits"}, {"layer 4", "0.50", "0.00"}, {"spread evenly", "1.29", "1.29"},
		{"share of the first token"}, {"layer 4", "0.75", "0.00"}, {"spread evenly", "0.42", "0.42"},
	}, got)
}

func TestManyHeadsAreDrawnSmall(t *testing.T) {
	row := [][]float64{{1}, {0.5, 0.5}}
	a := &Attention{Tokens: []string{"a", "b"}, Layers: []int{1}, layer: 1, head: unset, Weights: [][][][]float64{{row, row, row, row, row}}}
	for _, picture := range a.Picture().(plot.Row) {
		require.Nil(t, picture.(plot.Attention).Tokens)
	}
	a.head = 4
	require.Equal(t, a.Tokens, a.Picture().(plot.Row)[0].(plot.Attention).Tokens)
}

func TestTokensAreSpelledSoThatTheyCanBeSeen(t *testing.T) {
	for token, want := range map[string]string{
		"func": "func", "  a": "··a", "\t\n": `\t\n`, `"`: `"`, `\`: `\`, "\xe2\x82": `\xe2\x82`, "é": "é", "internationalisation": "internation…",
	} {
		require.Equal(t, want, visible([]byte(token)))
	}
	require.Equal(t, "0-2, 4, 6-7", ranges([]int{0, 1, 2, 4, 6, 7}))
}

func sumOf(values []float64) (sum float64) {
	for _, value := range values {
		sum += value
	}
	return sum
}
