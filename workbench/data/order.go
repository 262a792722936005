package data

// order says which document of a split is taken up next.
//
// A pass over one corpus takes its documents in a shuffled order, new in each
// epoch, or without loop in their own order. Of a mixture with loop, each part
// has epochs of its own, and the next document comes from the part that has
// given the fewest tokens for its weight: tokens and not documents, for it is
// tokens that a model learns from, and documents of one corpus may be a hundred
// times as long as those of another. Without loop the parts follow one another,
// whole: then nothing is weighed.
type order struct {
	shards *Shards
	split  Split
	loop   bool
	seed   uint64
	parts  []partOrder
	began  []string // names of parts, each time a pass after the first began; taken by the batch
}

// partOrder is the place in one part.
type partOrder struct {
	first     int64 // number of its first document
	documents int64
	shuffle   shuffle
	PartState
}

// PartState is the place in one part of a mixture.
type PartState struct {
	Epoch  int   `json:"epoch"`
	Cursor int64 `json:"cursor"` // documents of the epoch taken up so far
	Tokens int64 `json:"tokens"` // of all documents taken up, BOS included
}

func newOrder(s *Shards, o BatchOptions) *order {
	w := &order{shards: s, split: o.Split, loop: o.Loop, seed: o.Seed}
	first := int64(0)
	for _, part := range s.Parts() {
		documents := part.Documents[o.Split]
		w.parts = append(w.parts, partOrder{first: first, documents: documents})
		first += documents
	}
	for part := range w.parts {
		w.goTo(part, PartState{})
	}
	return w
}

// goTo sets the place in a part.
func (w *order) goTo(part int, state PartState) {
	p := &w.parts[part]
	p.PartState = state
	p.shuffle = newShuffle(p.documents, w.seed, state.Epoch)
}

// epoch is the pass that every part has begun.
func (w *order) epoch() int {
	least := w.parts[0].Epoch
	for _, p := range w.parts {
		least = min(least, p.Epoch)
	}
	return least
}

// again begins the next pass over a part.
func (w *order) again(part int) {
	p := &w.parts[part]
	w.goTo(part, PartState{Epoch: p.Epoch + 1, Tokens: p.Tokens})
	w.began = append(w.began, w.shards.folders[part].manifest.Corpus)
}

// refill begins the next pass over a corpus that is no mixture, if the last is
// over. Nothing of the last pass waits to be placed when it is called.
func (w *order) refill() {
	if w.loop && len(w.parts) == 1 && w.parts[0].Cursor == w.parts[0].documents {
		w.again(0)
	}
}

// next gives the part of the next document and its number in the split, or false
// at the end of the pass.
func (w *order) next() (part int, document int64, ok bool) {
	part = w.pick()
	if part < 0 {
		return 0, 0, false
	}
	p := &w.parts[part]
	if p.Cursor == p.documents {
		w.again(part)
	}
	document = p.Cursor
	if w.loop {
		document = p.shuffle.at(document)
	}
	p.Cursor++
	return part, p.first + document, true
}

// pick chooses the part to take from, or gives -1.
func (w *order) pick() int {
	if w.loop && len(w.parts) > 1 {
		best := -1
		for i, p := range w.parts {
			if p.documents > 0 && (best < 0 || float64(p.Tokens)*w.shards.weights[best] < float64(w.parts[best].Tokens)*w.shards.weights[i]) {
				best = i
			}
		}
		return best
	}
	for i, p := range w.parts {
		if p.Cursor < p.documents {
			return i
		}
	}
	return -1
}
