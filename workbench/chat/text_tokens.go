package chat

import "tandem/workbench/generate"

// TextToken is a token of an answer's text, as the model drew it.
type TextToken struct {
	// Bytes are the token's; a character can be spread over several.
	Bytes []byte
	// LogProb is as generate.Token gives it.
	LogProb float32
}

// TextTokens gives the tokens of the answer's text that were drawn so far, without the first ones that an earlier call
// gave: pass 0, then what the last call returned as next. Joined they are the text, except that after a stop string they
// hold what the text leaves out. Tokens of tool use are not among them.
func (a *Answer) TextTokens(after int) (tokens []TextToken, next int) {
	for _, d := range a.drawn[after:] {
		if d.mode == Text && a.template.ordinary(d.token) {
			tokens = append(tokens, TextToken{a.template.tokenizer.Token(d.token.ID), d.token.LogProb})
		}
	}
	return tokens, len(a.drawn)
}

// ordinary says whether a drawn token is none that begins or ends something.
func (t *Template) ordinary(token generate.Token) bool {
	return token.Finish == "" && token.ID != t.pythonStart && token.ID != t.outputStart && token.ID != t.outputEnd
}
