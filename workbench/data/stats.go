package data

// Stats counts what has been packed. A restored iterator counts on from its State.
//
// Positions are the places in rows, Time+1 each, and so Positions = Tokens +
// Documents + TailBOS + EndBOS + Padding.
type Stats struct {
	Batches   int64 `json:"batches"`
	Positions int64 `json:"positions"`
	Tokens    int64 `json:"tokens"`    // of documents, their BOS left out
	Documents int64 `json:"documents"` // begun, and so the BOS that documents have of themselves
	Cut       int64 `json:"cut"`       // documents that were cut at least once
	TailBOS   int64 `json:"tail_bos"`  // repeated in front of what was left of a cut document
	EndBOS    int64 `json:"end_bos"`   // alone in the last place of a row
	Padding   int64 `json:"padding"`
	// Dropped tokens were read from the corpus but neither placed nor are they
	// waiting to be. It is always 0: nothing is thrown away.
	Dropped int64 `json:"dropped"`

	taken int64 // tokens of the documents taken up, their BOS left out
}

// Utilisation is the share of positions that hold a token of a document or its own BOS.
func (s Stats) Utilisation() float64 { return share(s.Tokens+s.Documents, s.Positions) }

func share(part, whole int64) float64 {
	if whole == 0 {
		return 0
	}
	return float64(part) / float64(whole)
}

// Stats counts up to the last batch.
func (b *Batches) Stats() Stats {
	s := b.packer.stats
	held := int64(0)
	for _, p := range b.packer.waiting.inOrder() {
		held += int64(p.length - p.from)
	}
	s.Dropped = s.taken - s.Tokens - held
	return s
}
