package chat

// Delta is a piece of an answer.
type Delta struct {
	// Part is the index in the answer's content of the part that this belongs to.
	Part int
	// Type is that part's.
	Type PartType
	// Text follows the part's text so far. It is valid UTF-8, and empty only where a part begins.
	Text string
	// Problem says, in a Python part, why the tool gave no output for it.
	Problem string
}

// assembler is the state machine that makes an answer of tokens. Between special tokens is text; <|python_start|> and
// <|output_start|> begin parts of their own.
type assembler struct {
	template *Template
	stops    []string
	content  Content
	// mode is the type of the part that the next ordinary token belongs to, open whether it is in content yet.
	mode PartType
	open bool
	flow flow
	// stopped is true once a stop string was met.
	stopped bool
}

func newAssembler(template *Template, stops []string) assembler {
	return assembler{template: template, stops: stops, mode: Text, flow: flow{stops: stops}}
}

// token takes one token that the model drew, none of those that end a row.
func (a *assembler) token(id int32) []Delta {
	t := a.template
	switch id {
	case t.pythonStart:
		return append(a.close(), a.begin(Python))
	case t.outputStart:
		return append(a.close(), a.begin(Output))
	case t.outputEnd:
		if a.mode != Output {
			return nil
		}
		return a.close()
	}
	piece, stopped := a.flow.add(string(t.tokenizer.Token(id)))
	a.stopped = stopped
	return a.piece(piece)
}

// begin opens a part of its own.
func (a *assembler) begin(mode PartType) Delta {
	a.mode, a.open, a.flow = mode, true, flow{}
	a.content = append(a.content, Part{Type: mode})
	return Delta{Part: len(a.content) - 1, Type: mode}
}

// piece adds to the open part, and opens one for text where there is none.
func (a *assembler) piece(piece string) []Delta {
	if piece == "" {
		return nil
	}
	if !a.open {
		a.content, a.open = append(a.content, Part{Type: a.mode}), true
	}
	last := len(a.content) - 1
	a.content[last].Text += piece
	return []Delta{{Part: last, Type: a.mode, Text: piece}}
}

// close ends the open part; ordinary tokens after it are text.
func (a *assembler) close() []Delta {
	var deltas []Delta
	if !a.stopped {
		deltas = a.piece(a.flow.end())
	}
	a.mode, a.open, a.flow = Text, false, flow{stops: a.stops}
	return deltas
}

// code ends a Python part and returns what is to be run; ok is false outside of one.
func (a *assembler) code() (code string, deltas []Delta, ok bool) {
	if a.mode != Python {
		return "", nil, false
	}
	deltas = a.close()
	return a.content[len(a.content)-1].Text, deltas, true
}

// output adds what the tool answered.
func (a *assembler) output(result string) []Delta {
	a.begin(Output)
	deltas := a.piece(result)
	if deltas == nil {
		deltas = []Delta{{Part: len(a.content) - 1, Type: Output}}
	}
	return append(deltas, a.close()...)
}
