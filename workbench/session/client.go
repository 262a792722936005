package session

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"net"
	"net/http"
	"time"
)

// Client is a session in another process. It is a Workbench, which says what its methods do.
type Client struct {
	place   place
	http    *http.Client
	process Process
	notices []string
	start   *Start // how to start another session; nil does not
}

var _ Workbench = (*Client)(nil)

// newClient makes a client that has not called yet.
func newClient(p place) *Client {
	dial := func(ctx context.Context, _, _ string) (connection net.Conn, err error) {
		err = p.reach(func(path string) (err error) {
			connection, err = new(net.Dialer).DialContext(ctx, "unix", path)
			return err
		})
		return connection, err
	}
	return &Client{place: p, http: &http.Client{Transport: &http.Transport{DialContext: dial, DisableCompression: true}}}
}

// Process is the session's that the client attached to.
func (c *Client) Process() Process { return c.process }

// Notices are what the user should be told: that the last session died, or that this one runs other code.
func (c *Client) Notices() []string { return c.notices }

// Close lets go of the session, which goes on.
func (c *Client) Close() error {
	c.http.CloseIdleConnections()
	return nil
}

func (c *Client) Status(ctx context.Context) (Status, error) {
	return call[Status](ctx, c, pathStatus, struct{}{})
}

func (c *Client) Train(ctx context.Context, r TrainRequest) (Training, error) {
	return call[Training](ctx, c, pathTrain, r)
}

func (c *Client) Watch(ctx context.Context, run string) iter.Seq2[Event, error] {
	return streamOf[Event](ctx, c, pathWatch, runRequest{run})
}

func (c *Client) StopTraining(ctx context.Context, run string) (Training, error) {
	return call[Training](ctx, c, pathStop, runRequest{run})
}

func (c *Client) Sample(ctx context.Context, r SampleRequest) iter.Seq2[Piece, error] {
	return streamOf[Piece](ctx, c, pathSample, r)
}

func (c *Client) Chat(ctx context.Context, r ChatRequest) iter.Seq2[Piece, error] {
	return streamOf[Piece](ctx, c, pathChat, r)
}

func (c *Client) Generate(ctx context.Context, r GenerateRequest) iter.Seq2[Token, error] {
	return streamOf[Token](ctx, c, pathGenerate, r)
}

func (c *Client) Release(ctx context.Context, state string) error {
	_, err := call[struct{}](ctx, c, pathRelease, stateRequest{state})
	return err
}

func (c *Client) Load(ctx context.Context, r ModelRequest) (Model, error) {
	return call[Model](ctx, c, pathLoad, r)
}

func (c *Client) Unload(ctx context.Context, run string) error {
	_, err := call[struct{}](ctx, c, pathUnload, runRequest{run})
	return err
}

// Shutdown stops the session: its trainings save a checkpoint each and end. It returns when the process has let go of the
// folder.
func (c *Client) Shutdown(ctx context.Context) error {
	if _, err := call[struct{}](ctx, c, pathShutdown, struct{}{}); err != nil {
		return err
	}
	c.Close()
	if err := c.place.waitUnserved(ctx); err != nil {
		return fmt.Errorf("stop the session of process %d: %w; it still works on its checkpoints, or kill it", c.process.PID, err)
	}
	return nil
}

// post begins a call.
func (c *Client) post(ctx context.Context, path string, in any) (*http.Response, error) {
	body, err := json.Marshal(in)
	if err != nil {
		return nil, fmt.Errorf("session: %s: %w", path[1:], err)
	}
	response, err := c.send(ctx, path, body)
	var dialled *net.OpError
	if errors.As(err, &dialled) && dialled.Op == "dial" && c.start != nil { // nothing was asked of the session that is gone
		another, problem := Ensure(ctx, c.place.runs(), *c.start)
		if problem != nil {
			return nil, problem
		}
		another.Close()
		response, err = c.send(ctx, path, body)
	}
	if err != nil {
		return nil, c.lost(ctx, err)
	}
	if response.StatusCode == http.StatusOK {
		return response, nil
	}
	defer response.Body.Close()
	var problem failure
	if err := json.NewDecoder(response.Body).Decode(&problem); err != nil || problem.Error == "" {
		return nil, fmt.Errorf("session: %s: unexpected answer %s", path[1:], response.Status)
	}
	return nil, errors.New(problem.Error)
}

func (c *Client) send(ctx context.Context, path string, body []byte) (*http.Response, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://session"+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	return c.http.Do(request)
}

// lost explains a connection that broke: the caller's end, or the session's.
func (c *Client) lost(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	// A killed process closes its connections a little before it lets go of its lock.
	wait, done := context.WithTimeout(ctx, time.Second)
	defer done()
	if c.place.waitUnserved(wait) != nil {
		return fmt.Errorf("the connection to the session broke: %w; call again", err)
	}
	if death := c.place.death(); death != "" {
		return fmt.Errorf("%s; the next call starts a new one", death)
	}
	return fmt.Errorf("the session has stopped; the next call starts a new one")
}

// call is a call with one answer.
func call[Out any](ctx context.Context, c *Client, path string, in any) (out Out, err error) {
	response, err := c.post(ctx, path, in)
	if err != nil {
		return out, err
	}
	defer response.Body.Close()
	if err := json.NewDecoder(response.Body).Decode(&out); err != nil {
		return out, c.lost(ctx, err)
	}
	io.Copy(io.Discard, response.Body) // so that the connection can be used again
	return out, nil
}

// streamOf is a call with many answers. Leaving the loop ends it.
func streamOf[Out any](ctx context.Context, c *Client, path string, in any) iter.Seq2[Out, error] {
	return func(yield func(Out, error) bool) {
		var zero Out
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		response, err := c.post(ctx, path, in)
		if err != nil {
			yield(zero, err)
			return
		}
		defer response.Body.Close()
		err = readLines(response.Body, func(item Out) bool { return yield(item, nil) })
		if errors.Is(err, errCut) {
			err = c.lost(ctx, err)
		}
		if err != nil {
			yield(zero, err)
		}
	}
}
