package data

import "math/bits"

// piece is what is left to place of one document.
type piece struct {
	document int64
	start    int64 // position in the split of the document's BOS
	length   int   // tokens of the whole document, BOS included
	from     int   // the first token not yet placed; 1 in a document that is still whole
	placed   bool  // no longer in waiting, though still in its arrival queue
}

// size is the room that the piece takes in a row: every piece begins with BOS.
func (p *piece) size() int { return 1 + p.length - p.from }

// waiting holds the pieces that are to be placed, by arrival and by size. Pieces
// of equal size leave in the order in which they came, so that the order of
// arrival is all its state. All its methods cost the same however many wait.
type waiting struct {
	capacity int      // of a row
	bySize   []queue  // index capacity+1 holds whatever is longer than a row
	filled   []uint64 // a bit for each queue: not empty
	arrivals queue
	count    int
	tokens   int64 // of all pieces that wait
	long     int64 // of those that are longer than a row
}

func newWaiting(capacity int) *waiting {
	queues := capacity + 2
	return &waiting{capacity: capacity, bySize: make([]queue, queues), filled: make([]uint64, (queues+63)/64)}
}

func (w *waiting) class(p *piece) int { return min(p.size(), w.capacity+1) }

func (w *waiting) add(p *piece) {
	class := w.class(p)
	w.bySize[class].push(p)
	w.filled[class/64] |= 1 << (class % 64)
	w.arrivals.push(p)
	w.count++
	w.weigh(p, 1)
}

// weigh adds or takes away what p has to place.
func (w *waiting) weigh(p *piece, sign int64) {
	w.tokens += sign * int64(p.size())
	if w.class(p) > w.capacity {
		w.long += sign * int64(p.size())
	}
}

// oldest takes the piece that has waited longest, which is also the first of
// its size. It must not be called when none waits.
func (w *waiting) oldest() *piece {
	for w.arrivals.front().placed {
		w.arrivals.pop()
	}
	return w.take(w.class(w.arrivals.front()))
}

// longestWithin takes the longest piece of at most room tokens, or gives nil.
func (w *waiting) longestWithin(room int) *piece {
	if class := w.below(min(room, w.capacity)); class >= 0 {
		return w.take(class)
	}
	return nil
}

// longest takes a piece that is longer than a row if there is one, and
// otherwise the longest. It must not be called when none waits.
func (w *waiting) longest() *piece { return w.take(w.below(w.capacity + 1)) }

// below finds the highest class up to class that is not empty, or -1.
func (w *waiting) below(class int) int {
	word := class / 64
	set := w.filled[word] & (^uint64(0) >> (63 - class%64))
	for set == 0 {
		if word--; word < 0 {
			return -1
		}
		set = w.filled[word]
	}
	return word*64 + bits.Len64(set) - 1
}

func (w *waiting) take(class int) *piece {
	q := &w.bySize[class]
	p := q.pop()
	if q.empty() {
		w.filled[class/64] &^= 1 << (class % 64)
	}
	p.placed = true
	w.count--
	w.weigh(p, -1)
	return p
}

// inOrder lists the pieces by arrival.
func (w *waiting) inOrder() []*piece {
	pieces := make([]*piece, 0, w.count)
	for _, p := range w.arrivals.items[w.arrivals.head:] {
		if !p.placed {
			pieces = append(pieces, p)
		}
	}
	return pieces
}

// queue is first in, first out.
type queue struct {
	items []*piece
	head  int
}

func (q *queue) empty() bool   { return q.head == len(q.items) }
func (q *queue) front() *piece { return q.items[q.head] }
func (q *queue) push(p *piece) { q.items = append(q.items, p) }

func (q *queue) pop() *piece {
	p := q.items[q.head]
	q.items[q.head] = nil
	q.head++
	if q.head >= 32 && 2*q.head >= len(q.items) { // reuse the room, at a constant price a piece
		q.items = q.items[:copy(q.items, q.items[q.head:])]
		q.head = 0
	}
	return p
}
