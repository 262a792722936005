package blocks_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/gomlx/compute/dtypes"
	"github.com/stretchr/testify/require"

	"tandem/blocks"
	"tandem/tests/testkit"
)

var tolerance = testkit.Tolerances[dtypes.Float32]

func TestDecodingTokenByTokenEqualsTheForwardPass(t *testing.T) {
	device := testkit.Device(t)
	const batch, time = 2, 9
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			f := newFixture(t, device, c.config)
			x := testkit.Random(rand.New(rand.NewPCG(1, 2)), batch*time*width, 1)
			want, wantState := f.run(t, call{batch: batch, time: time, x: x, capacity: time, state: f.empty(batch, time)})
			state := f.empty(batch, time)
			for at := range time {
				var y []float64
				y, state = f.run(t, call{batch: batch, time: 1, x: columns(x, batch, time, at, at+1), capacity: time,
					state: state, positions: repeated(int32(at), batch), step: true})
				testkit.Close(t, fmt.Sprintf("token %d", at), columns(want, batch, time, at, at+1), y, tolerance.Forward)
			}
			for i := range state {
				testkit.Close(t, f.block.State(1, 1)[i].Name, wantState[i], state[i], tolerance.Forward)
			}
		})
	}
}

func TestPrefillMayBeSplitAtEveryPoint(t *testing.T) {
	device := testkit.Device(t)
	const batch, time = 2, 7
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			f := newFixture(t, device, c.config)
			x := testkit.Random(rand.New(rand.NewPCG(3, 4)), batch*time*width, 1)
			want, wantState := f.run(t, call{batch: batch, time: time, x: x, capacity: time, state: f.empty(batch, time)})
			for cut := 1; cut < time; cut++ {
				first, state := f.run(t, call{batch: batch, time: cut, x: columns(x, batch, time, 0, cut), capacity: time, state: f.empty(batch, time)})
				second, state := f.run(t, call{batch: batch, time: time - cut, x: columns(x, batch, time, cut, time), capacity: time,
					state: state, positions: repeated(int32(cut), batch)})
				testkit.Close(t, fmt.Sprintf("before cut %d", cut), columns(want, batch, time, 0, cut), first, tolerance.Forward)
				testkit.Close(t, fmt.Sprintf("after cut %d", cut), columns(want, batch, time, cut, time), second, tolerance.Forward)
				for i := range state {
					testkit.Close(t, f.block.State(1, 1)[i].Name, wantState[i], state[i], tolerance.Forward)
				}
			}
		})
	}
}

func TestPaddingChangesNothing(t *testing.T) {
	device := testkit.Device(t)
	const time = 6
	lengths := []int32{6, 4, 1, 0}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			f := newFixture(t, device, c.config)
			random := rand.New(rand.NewPCG(5, 6))
			batch := len(lengths)
			x := testkit.Random(random, batch*time*width, 1)
			start := f.empty(batch, 2*time)
			prefix := testkit.Random(random, batch*3*width, 1)
			_, start = f.run(t, call{batch: batch, time: 3, x: prefix, capacity: 2 * time, state: start})
			y, state := f.run(t, call{batch: batch, time: time, x: x, capacity: 2 * time, state: start, lengths: lengths, positions: repeated(3, batch)})
			for b, length := range lengths {
				alone := func(values []float64) []float64 { n := len(values) / batch; return values[b*n : (b+1)*n] }
				var own [][]float64
				for _, tensor := range start {
					own = append(own, alone(tensor))
				}
				if length > 0 {
					var wantY []float64
					wantY, own = f.run(t, call{batch: 1, time: int(length), x: alone(x)[:int(length)*width], capacity: 2 * time, state: own, positions: []int32{3}})
					testkit.Close(t, fmt.Sprintf("row %d", b), wantY, alone(y)[:int(length)*width], tolerance.Forward)
				}
				for i := range state {
					testkit.Close(t, fmt.Sprintf("row %d %s", b, f.block.State(1, 1)[i].Name), own[i], alone(state[i]), tolerance.Forward)
				}
			}
		})
	}
}

func TestDocumentsInARowDoNotSeeEachOther(t *testing.T) {
	device := testkit.Device(t)
	// Lengths of one, of fewer than the taps, and over a chunk of the scan.
	pieces := []int{1, 2, 40, 1, 5}
	var documents []int32
	for i, n := range pieces {
		documents = append(documents, repeated(int32(i), n)...)
	}
	time := len(documents)
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			f := newFixture(t, device, c.config)
			x := testkit.Random(rand.New(rand.NewPCG(8, 9)), time*width, 1)
			packed, _ := f.run(t, call{batch: 1, time: time, x: x, documents: documents})
			worst, at := 0.0, 0
			for _, n := range pieces {
				alone, _ := f.run(t, call{batch: 1, time: n, x: x[at*width : (at+n)*width]})
				for i := range alone {
					worst = max(worst, alone[i]-packed[at*width+i], packed[at*width+i]-alone[i])
				}
				at += n
			}
			if separatesDocuments(c.config) {
				require.Less(t, worst, 2e-5)
			} else {
				require.Greater(t, worst, 1e-3, "documents were separated against the configuration")
			}
		})
	}
}

func TestARunFromBeforeMambaHadARateOfItsOwnGoesOnAtTheWholeRate(t *testing.T) {
	for recorded, want := range map[string]float64{
		`{"state": 16}`:            1,
		`{"state": 16, "lr": 0.3}`: 0.3,
		`{"state": 16, "lr": 0}`:   0.5,
	} {
		var configs blocks.Configs
		require.NoError(t, json.Unmarshal([]byte(`{"mamba": `+recorded+`}`), &configs))
		require.Equal(t, want, configs["mamba"].Build(64).Weights()[0].Rate, recorded)
	}
	require.Equal(t, 0.5, (&blocks.Mamba{}).Build(64).Weights()[0].Rate)
	var configs blocks.Configs
	require.ErrorContains(t, json.Unmarshal([]byte(`{"mamba": {"rate": 1}}`), &configs), `unknown field "rate"`)
}
