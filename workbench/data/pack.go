package data

// packer fills rows from the documents of one split by best fit, and throws
// nothing away.
//
// A row has Time+1 places: inputs are all but the last, targets all but the
// first.
//
//  1. At least Buffer pieces are kept waiting while the epoch has documents
//     left; the next epoch begins when nothing waits any more. (The order of a
//     mixture has no end, and so is never drained.)
//  2. The piece that has waited longest opens the row, or one that is longer
//     than a row: that as often as such pieces' share of what waits, evenly.
//     (Opening with the longest always, as plain best fit does, would serve the
//     corpus sorted by length; opening with the oldest always would end each
//     epoch with what is left of its longest documents alone.)
//  3. The longest piece that fits the rest of the row follows, again and again.
//  4. When none fits, the longest is cut to fill the row exactly. What is left of
//     it waits anew and will begin with a BOS of its own. So each token of a
//     document is a target exactly once.
//  5. A single free place takes a BOS alone: a BOS target always means that
//     the document before it has ended.
//
// Best fit is from Ding et al. 2024, "Fewer Truncations Improve Language
// Modeling" (arXiv 2404.10830).
type packer struct {
	shards  *Shards
	split   Split
	room    int // pieces to keep waiting
	order   *order
	waiting *waiting
	stats   Stats
}

func newPacker(s *Shards, o BatchOptions) *packer {
	return &packer{shards: s, split: o.Split, room: o.Buffer, order: newOrder(s, o), waiting: newWaiting(o.Time + 1)}
}

// fill sees to it that something waits, if anything is left at all.
func (p *packer) fill() error {
	if p.waiting.count == 0 {
		p.order.refill()
	}
	for p.waiting.count < p.room {
		part, document, ok := p.order.next()
		if !ok {
			break
		}
		piece, err := p.piece(document, 1)
		if err != nil {
			return err
		}
		p.waiting.add(piece)
		p.stats.taken += int64(piece.length - 1)
		p.order.parts[part].Tokens += int64(piece.length)
	}
	return nil
}

func (p *packer) piece(document int64, from int) (*piece, error) {
	start, end, err := p.shards.bounds(p.split, document)
	if err != nil {
		return nil, err
	}
	return &piece{document: document, start: start, length: int(end - start), from: from}, nil
}

// row fills row as far as there is text and gives the number of places filled.
// owners says for each place which piece of the row it belongs to, from 0.
func (p *packer) row(row, owners []int32) (int, error) {
	filled := 0
	for owner := int32(0); filled < len(row); owner++ {
		if err := p.fill(); err != nil {
			return filled, err
		}
		if p.waiting.count == 0 {
			break
		}
		count := 1
		if rest := row[filled:]; len(rest) == 1 {
			rest[0] = p.shards.BOS()
			p.stats.EndBOS++
		} else {
			var err error
			if count, err = p.place(rest, p.next(rest, filled == 0)); err != nil {
				return filled, err
			}
		}
		for range count {
			owners[filled] = owner
			filled++
		}
	}
	p.stats.Positions += int64(len(row))
	p.stats.Padding += int64(len(row) - filled)
	return filled, nil
}

// next takes the piece that comes next in a row with rest places left.
func (p *packer) next(rest []int32, opens bool) *piece {
	if !opens {
		if fits := p.waiting.longestWithin(len(rest)); fits != nil {
			return fits
		}
		return p.waiting.longest()
	}
	row := p.stats.Positions / int64(len(rest))
	if spread(row)*float64(p.waiting.tokens) < float64(p.waiting.long) {
		return p.waiting.longest()
	}
	return p.waiting.oldest()
}

// spread gives row numbers values in [0, 1) that fill it evenly: multiples of the golden ratio.
func spread(row int64) float64 {
	const ratio = 2654435769 // of 2³²
	return float64(uint32(row+1)*ratio) / (1 << 32)
}

// place puts from, or as much of it as rest holds, at the start of rest and
// gives the number of places that it took, at least 2.
func (p *packer) place(rest []int32, from *piece) (int, error) {
	count := min(from.size(), len(rest))
	rest[0] = p.shards.BOS()
	if err := p.shards.read(rest[1:count], p.split, from.start+int64(from.from)); err != nil {
		return 0, err
	}
	p.count(from, count)
	if count < from.size() {
		tail := *from
		tail.from += count - 1
		tail.placed = false
		p.waiting.add(&tail)
	}
	return count, nil
}

func (p *packer) count(from *piece, places int) {
	p.stats.Tokens += int64(places - 1)
	if from.from > 1 {
		p.stats.TailBOS++
		return
	}
	p.stats.Documents++
	if places < from.size() {
		p.stats.Cut++
	}
}
