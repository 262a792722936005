package session

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"
)

// Protocol is the version of what is spoken over the socket. It changes when an older client would misunderstand.
const Protocol = 1

// hello is what a server says of itself to any client, whatever its version.
type hello struct {
	Protocol int `json:"protocol"`
	Process
}

// The paths, all POST with a JSON body but for pathHello, which also answers GET: a POST is the beginning of work and
// puts off the idle stop. Errors have another status than 200 and the body {"error": "…"}.
const (
	pathHello    = "/hello"
	pathStatus   = "/status"
	pathTrain    = "/train"
	pathWatch    = "/watch"
	pathStop     = "/stop"
	pathSample   = "/sample"
	pathChat     = "/chat"
	pathGenerate = "/generate"
	pathRelease  = "/release"
	pathLoad     = "/load"
	pathUnload   = "/unload"
	pathShutdown = "/shutdown"
)

// runRequest names a run.
type runRequest struct {
	Run string `json:"run"`
}

// stateRequest names a kept state.
type stateRequest struct {
	State string `json:"state"`
}

// line is one line of a stream. The last has End or Error; a stream without one was cut off.
type line[T any] struct {
	Item  *T     `json:"item,omitempty"`
	End   bool   `json:"end,omitempty"`
	Error string `json:"error,omitempty"`
}

// failure is the body of an error.
type failure struct {
	Error string `json:"error"`
}

// maxBody is the bytes of a request, maxStreamLine those of a line of a stream at most.
const (
	maxBody       = 16 << 20
	maxStreamLine = 32 << 20
)

// stall is how long a client may take to read a line of a stream.
const stall = 30 * time.Second

// lineWriter writes a stream line by line.
type lineWriter struct {
	w       http.ResponseWriter
	control *http.ResponseController
}

func newLineWriter(w http.ResponseWriter) lineWriter {
	w.Header().Set("Content-Type", "application/x-ndjson")
	return lineWriter{w, http.NewResponseController(w)}
}

// write sends one line at once.
func (l lineWriter) write(value any) error {
	text, err := json.Marshal(value)
	if err != nil {
		return err
	}
	if err := l.control.SetWriteDeadline(time.Now().Add(stall)); err != nil {
		return err
	}
	if _, err := l.w.Write(append(text, '\n')); err != nil {
		return err
	}
	return l.control.Flush()
}

// writeJSON sends an answer that is no stream.
func writeJSON(w http.ResponseWriter, status int, value any) {
	text, err := json.Marshal(value)
	if err != nil {
		status, text = http.StatusInternalServerError, []byte(`{"error":"the answer cannot be written as JSON"}`)
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	w.Write(append(text, '\n'))
}

// errCut means that a stream has no end: its server died.
var errCut = errors.New("the stream was cut off")

// readLines gives the items of a stream until its end, or until yield returns false.
func readLines[T any](r io.Reader, yield func(T) bool) error {
	scanner := bufio.NewScanner(r)
	scanner.Buffer(nil, maxStreamLine)
	for scanner.Scan() {
		var read line[T]
		if err := json.Unmarshal(scanner.Bytes(), &read); err != nil {
			return fmt.Errorf("%w: %.80q is not a line of it", errCut, scanner.Text())
		}
		switch {
		case read.Error != "":
			return errors.New(read.Error)
		case read.End:
			return nil
		case read.Item != nil && !yield(*read.Item):
			return nil
		}
	}
	if err := scanner.Err(); err != nil {
		return fmt.Errorf("%w: %w", errCut, err)
	}
	return errCut
}
