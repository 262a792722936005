package session

import (
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestRequestsThatAreNotUnderstoodAreRefused(t *testing.T) {
	runs := runsFolder(t)
	serve(t, &fake{}, runs)
	c := attached(t, runs)
	for name, x := range map[string]struct {
		path, body, says string
		status           int
	}{
		"an unknown field":     {pathChat, `{"massage": "hello"}`, `unknown field \"massage\"`, 400},
		"no JSON":              {pathTrain, `train`, "read the request to /train", 400},
		"a value out of range": {pathSample, `{"tokens": "many"}`, "read the request to /sample", 400},
		"an unknown call":      {"/dance", `{}`, "404 page not found", 404},
		"too much":             {pathChat, `{"message": "` + strings.Repeat("x", maxBody) + `"}`, "too large", 400},
	} {
		t.Run(name, func(t *testing.T) {
			response, err := c.http.Post("http://session"+x.path, "application/json", strings.NewReader(x.body))
			require.NoError(t, err)
			defer response.Body.Close()
			body, err := io.ReadAll(response.Body)
			require.NoError(t, err)
			require.Equal(t, x.status, response.StatusCode)
			require.Contains(t, string(body), x.says)
		})
	}
}

func TestAnotherVersionIsToldApart(t *testing.T) {
	runs := runsFolder(t)
	serve(t, &fake{}, runs)
	c, err := Dial(soon(t), runs, "newer")
	require.NoError(t, err)
	require.Len(t, c.Notices(), 1)
	require.Contains(t, c.Notices()[0], "runs other code than this program (build test, here newer); to use the new code stop it with: workbench session stop")
	require.Empty(t, attached(t, runs).Notices())

	other := runsFolder(t)
	p, err := placeIn(other)
	require.NoError(t, err)
	require.NoError(t, p.make())
	listener, err := net.Listen("unix", p.file(socketFile))
	require.NoError(t, err)
	web := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		writeJSON(w, http.StatusOK, hello{Protocol: 99, Process: Process{PID: 4}})
	})}
	go web.Serve(listener)
	defer web.Close()
	_, err = Dial(soon(t), other, "test")
	require.ErrorContains(t, err, "(process 4): it speaks version 99 of the protocol and this program 1; stop it with: workbench session stop, or: kill 4")
}

func TestAStreamThatIsCutOffIsNoEnd(t *testing.T) {
	for name, x := range map[string]struct {
		text, says string
		items      int
	}{
		"a whole one":      {text: "{\"item\":1}\n{\"item\":2}\n{\"end\":true}\n", items: 2},
		"cut between":      {text: "{\"item\":1}\n", items: 1, says: "the stream was cut off"},
		"cut within":       {text: "{\"item\":1}\n{\"it", items: 1, says: `the stream was cut off: "{\"it" is not a line of it`},
		"empty":            {says: "the stream was cut off"},
		"ended by failure": {text: "{\"item\":1}\n{\"error\":\"no memory\"}\n", items: 1, says: "no memory"},
	} {
		t.Run(name, func(t *testing.T) {
			items := 0
			err := readLines(strings.NewReader(x.text), func(int) bool { items++; return true })
			require.Equal(t, x.items, items)
			if x.says == "" {
				require.NoError(t, err)
			} else {
				require.EqualError(t, err, x.says)
			}
		})
	}
}
