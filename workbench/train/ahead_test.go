package train

import (
	"encoding/json"
	"errors"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestDrawingAheadKeepsThePlaceOfWhatWasTaken(t *testing.T) {
	at, reached := 0, make(chan struct{})
	broken := errors.New("the disk is on fire")
	a := drawAhead(func() (Batch, error) {
		if at++; at == 6 {
			close(reached)
		}
		if at > 8 {
			return Batch{}, broken
		}
		return Batch{Tokens: []int32{int32(at)}}, nil
	}, func() (json.RawMessage, error) { return json.Marshal(at) }, 5)
	defer a.close()
	place, err := a.position()
	require.NoError(t, err)
	require.Equal(t, "0", string(place), "before the first batch")
	<-reached // five are drawn, and a sixth waits for room
	for i := 1; i <= 8; i++ {
		batch, err := a.take()
		require.NoError(t, err)
		require.Equal(t, []int32{int32(i)}, batch.Tokens)
		place, err := a.position()
		require.NoError(t, err)
		require.JSONEq(t, string(rune('0'+i)), string(place))
	}
	for range 2 {
		_, err = a.take()
		require.ErrorIs(t, err, broken)
	}
	place, err = a.position()
	require.NoError(t, err)
	require.Equal(t, "8", string(place), "a failed draw takes nothing")
}

func TestDrawingAheadEndsThoughNobodyTakes(t *testing.T) {
	for _, depth := range []int{0, 1, 4} {
		a := drawAhead(func() (Batch, error) { return Batch{}, nil }, func() (json.RawMessage, error) { return nil, nil }, depth)
		a.close()
	}
}
