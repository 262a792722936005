package data

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// Mixture is several corpora, of which each gives a share of the tokens of
// training. Each is tokenised for itself, and its cache serves it in every
// mixture; what is mixed is the order in which documents are taken up: see order.
type Mixture struct {
	name    string
	parts   []Corpus
	weights []float64 // with the sum 1
}

type weighted struct {
	spec   string
	weight float64
}

var endsInWeight = regexp.MustCompile(`=[-+.\d][-+.\deE_]*$`)

// parseMixture takes a=0.7,b=0.3 apart. A spec without a comma or a weight is no mixture.
func parseMixture(spec string) (parts []weighted, isMixture bool, err error) {
	if !strings.Contains(spec, ",") && !endsInWeight.MatchString(spec) {
		return nil, false, nil
	}
	for _, item := range strings.Split(spec, ",") {
		at := strings.LastIndex(item, "=")
		if at < 1 {
			return nil, false, fmt.Errorf("part %q of the mixture has no weight; write a=0.7,b=0.3", item)
		}
		part := weighted{spec: strings.TrimSpace(item[:at])}
		part.weight, err = strconv.ParseFloat(strings.TrimSpace(item[at+1:]), 64)
		if err != nil || !(part.weight > 0) || math.IsInf(part.weight, 0) {
			return nil, false, fmt.Errorf("weight %q of %q in the mixture: must be a number above 0; weights need not have the sum 1", item[at+1:], part.spec)
		}
		if slices.ContainsFunc(parts, func(other weighted) bool { return other.spec == part.spec }) {
			return nil, false, fmt.Errorf("%q is in the mixture twice; add its weights", part.spec)
		}
		parts = append(parts, part)
	}
	return parts, true, nil
}

func openMixture(ctx context.Context, spec string, parts []weighted, o Options) (Corpus, error) {
	m := &Mixture{name: spec}
	sum := 0.0
	for _, part := range parts {
		c, err := OpenWith(ctx, part.spec, o)
		if err != nil {
			return nil, err
		}
		m.parts, m.weights = append(m.parts, c), append(m.weights, part.weight)
		sum += part.weight
	}
	for i := range m.weights {
		if m.weights[i] /= sum; m.weights[i] == 0 || math.IsInf(sum, 0) {
			return nil, fmt.Errorf("open corpus %q: weight %g of %q is nothing of %g in all; give weights of more similar size", spec, parts[i].weight, parts[i].spec, sum)
		}
	}
	return m, nil
}

// Name is the spec of the mixture.
func (m *Mixture) Name() string { return m.name }

// Fingerprint changes with that of any part.
func (m *Mixture) Fingerprint() (string, error) {
	var text []byte
	for i, part := range m.parts {
		mark, err := part.Fingerprint()
		if err != nil {
			return "", err
		}
		text = fmt.Appendf(text, "%q %s %g\n", part.Name(), mark, m.weights[i])
	}
	return digest(text), nil
}

// Documents streams every document of every part once, interleaved by weight of
// bytes as long as all last: so the beginning of it, on which a tokenizer is
// trained, is as the mixture is.
func (m *Mixture) Documents() iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		type stream struct {
			next   func() (string, error, bool)
			weight float64
			bytes  float64
		}
		var streams []*stream
		for i, part := range m.parts {
			next, stop := iter.Pull2(part.Documents())
			defer stop()
			streams = append(streams, &stream{next: next, weight: m.weights[i]})
		}
		for len(streams) > 0 {
			least := slices.MinFunc(streams, func(a, b *stream) int {
				switch x, y := a.bytes/a.weight, b.bytes/b.weight; {
				case x < y:
					return -1
				case x > y:
					return 1
				}
				return 0
			})
			text, err, ok := least.next()
			if !ok {
				streams = slices.DeleteFunc(streams, func(s *stream) bool { return s == least })
				continue
			}
			least.bytes += float64(len(text))
			if !yield(text, err) || err != nil {
				return
			}
		}
	}
}

// tokenize gives the shards of all parts.
func (m *Mixture) tokenize(ctx context.Context, enc Encoder, dir string, progress func(documents int, bytes int64)) (*Shards, error) {
	mixed := &Shards{weights: m.weights}
	documents, bytes := 0, int64(0) // of the parts before
	for _, part := range m.parts {
		partDocuments, partBytes := 0, int64(0)
		s, err := Tokenize(ctx, part, enc, dir, func(d int, b int64) {
			if partDocuments, partBytes = d, b; progress != nil {
				progress(documents+d, bytes+b)
			}
		})
		if err != nil {
			return nil, errors.Join(err, mixed.Close())
		}
		documents, bytes = documents+partDocuments, bytes+partBytes
		mixed.folders = append(mixed.folders, s.folders...)
	}
	return mixed, nil
}
