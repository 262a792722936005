package eval

import (
	"testing"

	"github.com/stretchr/testify/require"

	"tandem/workbench/chat"
	"tandem/workbench/tokenizer"
)

func byteTokenizer(t testing.TB) *tokenizer.Tokenizer {
	t.Helper()
	tok, err := tokenizer.Train(func(func(string, error) bool) {}, 256+9)
	require.NoError(t, err)
	return tok
}

// texts are a query's context and continuation, without BOS.
func texts(tok *tokenizer.Tokenizer, q Query) [2]string {
	return [2]string{tok.Decode(q.Context[1:]), tok.Decode(q.Continuation)}
}

func TestPromptsOfEachFormAreScoredWhereTheyDiffer(t *testing.T) {
	tok := byteTokenizer(t)
	capitals := item{id: "a", contexts: []string{"Capital of France?"}, continuations: []string{"Paris", "Pau"}, gold: 0}
	other := item{id: "b", contexts: []string{"Two and two?"}, continuations: []string{"five", "four"}, gold: 1}
	for _, test := range []struct {
		name, form string
		items      []item
		shots      int
		want       [][2]string
	}{
		{"choices after their common beginning", formChoice, []item{capitals}, 0,
			[][2]string{{"Capital of France? Pa", "ris"}, {"Capital of France? Pa", "u"}}},
		{"choices with another example first", formChoice, []item{capitals, other}, 5,
			[][2]string{{"Two and two? four\n\nCapital of France? Pa", "ris"}, {"Two and two? four\n\nCapital of France? Pa", "u"}}},
		{"a choice that begins another", formChoice, []item{{contexts: []string{"Q"}, continuations: []string{"cat", "cats"}}}, 0,
			[][2]string{{"Q ca", "t"}, {"Q ca", "ts"}}},
		{"a schema's common end after each context", formSchema, []item{{contexts: []string{"The dog", "The cats"}, continuations: []string{"ran"}}}, 0,
			[][2]string{{"The dog", " ran"}, {"The cats", " ran"}}},
		{"a schema whose contexts are the same", formSchema, []item{{contexts: []string{"The dog", "The dog"}, continuations: []string{"ran"}}}, 0,
			[][2]string{{"", "The dog ran"}, {"", "The dog ran"}}},
		{"a continuation after its context", formLanguage, []item{{contexts: []string{"one two"}, continuations: []string{"three"}}}, 0,
			[][2]string{{"one two", " three"}}},
	} {
		t.Run(test.name, func(t *testing.T) {
			e := renderer{tok: tok, form: test.form, delimiter: " ", items: test.items, shots: test.shots}.example(0)
			require.Empty(t, e.problem)
			var got [][2]string
			for _, q := range e.queries {
				require.Equal(t, tok.BOS(), q.Context[0])
				got = append(got, texts(tok, q))
			}
			require.Equal(t, test.want, got)
		})
	}
}

func TestTheLikeliestOptionIsThatOfTheHighestMean(t *testing.T) {
	tok := byteTokenizer(t)
	r := renderer{tok: tok, form: formChoice, delimiter: " ", items: []item{{contexts: []string{"Q"}, continuations: []string{"ab", "x"}, gold: 1}}}
	judge := r.example(0).judge
	require.True(t, judge([]Score{{LogProbs: []float64{-1, -3}}, {LogProbs: []float64{-1.9}}}))
	require.False(t, judge([]Score{{LogProbs: []float64{-1, -1}}, {LogProbs: []float64{-1.9}}}), "the sum is lower, the mean is not")

	r = renderer{tok: tok, form: formLanguage, delimiter: " ", items: []item{{contexts: []string{"Q"}, continuations: []string{"ab"}}}}
	judge = r.example(0).judge
	require.True(t, judge([]Score{{Greedy: true}}))
	require.False(t, judge([]Score{{}}))
}

func TestShotsDependOnTheItemAlone(t *testing.T) {
	var items []item
	for i := range 20 {
		items = append(items, item{id: string(rune('a' + i))})
	}
	require.Equal(t, shots(items, 3, 5), shots(items, 3, 5))
	require.NotEqual(t, shots(items, 3, 5), shots(items, 4, 5))
	for i := range items {
		chosen := shots(items, i, 19)
		require.Len(t, chosen, 19)
		require.NotContains(t, chosen, items[i])
	}
	require.Len(t, shots(items[:3], 0, 10), 2, "there are no more")
}

func TestQuestionsAreAskedWithLettersOfOneToken(t *testing.T) {
	row, err := NewRow("x:1", []byte(`{"question": "Which is a fruit?", "choices": {"text": ["stone", "apple"], "label": ["A", "B"]}, "answerKey": "B"}`))
	require.NoError(t, err)
	q, err := parseARC(row)
	require.NoError(t, err)
	require.Equal(t, "Multiple choice question: Which is a fruit?\n- stone=A\n- apple=B\n\nAnswer with the letter only.", q.render())
	require.Equal(t, 1, q.gold)
	template, err := chat.NewTemplate(byteTokenizer(t))
	require.NoError(t, err)
	e := q.example(template)
	require.Len(t, e.queries, 2)
	require.True(t, e.judge([]Score{{LogProbs: []float64{-2}}, {LogProbs: []float64{-1}}}))
	require.False(t, e.judge([]Score{{LogProbs: []float64{-1}}, {LogProbs: []float64{-2}}}))
}
