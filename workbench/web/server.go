package web

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"tandem/workbench/chat"
)

// Server answers HTTP requests with one model.
type Server struct {
	options Options
	limits  Limits
	cache   *chat.Cache
	places  chan struct{} // one sign for each request that runs or waits
	metrics *metrics
	handler http.Handler
}

// New makes a server. Close it after the last request.
func New(o Options) (*Server, error) {
	limits, err := o.Limits.resolved()
	if err != nil {
		return nil, err
	}
	if o.Model == nil || o.Info.Name == "" {
		return nil, errors.New("web: a model and its name must be given")
	}
	if o.Log == nil {
		o.Log = func(string) {}
	}
	s := &Server{options: o, limits: limits, cache: chat.NewCache(limits.CacheBytes), places: make(chan struct{}, limits.Requests)}
	s.metrics = newMetrics(s)
	mux, err := s.routes()
	if err != nil {
		return nil, err
	}
	s.handler = s.guard(mux)
	return s, nil
}

// Handler answers requests.
func (s *Server) Handler() http.Handler { return s.handler }

// Close frees the states kept for conversations.
func (s *Server) Close() { s.cache.Close() }

// routes are the paths. Those under /v1 and the metrics need the token.
func (s *Server) routes() (*http.ServeMux, error) {
	page, err := pageHandlers()
	if err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	add := func(method, path string, handler http.HandlerFunc) {
		mux.Handle(method+" "+path, s.measured(path, handler))
	}
	add("POST", "/v1/chat/completions", s.authorised(s.completion(chatEndpoint)))
	add("POST", "/v1/completions", s.authorised(s.completion(textEndpoint)))
	add("GET", "/v1/models", s.authorised(s.listModels))
	add("GET", "/v1/models/{model}", s.authorised(s.oneModel))
	add("GET", "/metrics", s.authorised(s.metrics.handler.ServeHTTP))
	add("GET", "/healthz", func(w http.ResponseWriter, _ *http.Request) {
		writeJSON(w, http.StatusOK, map[string]string{"status": "ok"})
	})
	for path, handler := range page {
		add("GET", path, handler)
	}
	known := map[string]string{"/v1/chat/completions": "POST", "/v1/completions": "POST", "/v1/models": "GET", "/metrics": "GET", "/healthz": "GET"}
	mux.Handle("/", s.measured("other", func(w http.ResponseWriter, r *http.Request) {
		if method, ok := known[r.URL.Path]; ok {
			w.Header().Set("Allow", method)
			writeError(w, &apiError{status: http.StatusMethodNotAllowed, kind: kindInvalid, message: fmt.Sprintf("%s takes %s, not %s", r.URL.Path, method, clip(r.Method))})
			return
		}
		writeError(w, &apiError{status: http.StatusNotFound, kind: kindInvalid, code: "unknown_url",
			message: fmt.Sprintf("there is no %s here; the API is at /v1/chat/completions, /v1/completions and /v1/models", clip(r.URL.Path))})
	}))
	return mux, nil
}

// errStopping ends answers that are still running when the grace at shutdown is over.
var errStopping = errors.New("the server is stopping")

// Serve answers requests on a listener until ctx ends. Then it takes no more, gives running answers the time of
// Limits.Grace, cancels what is left, and closes the server and the listener.
func (s *Server) Serve(ctx context.Context, listener net.Listener) error {
	defer s.Close()
	base, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	defer cancel(errStopping)
	server := &http.Server{
		Handler:        s.handler,
		ReadTimeout:    s.limits.Stall, // completions lift both once they have their request
		WriteTimeout:   s.limits.Stall,
		IdleTimeout:    2 * time.Minute,
		MaxHeaderBytes: 1 << 16,
		BaseContext:    func(net.Listener) context.Context { return base },
		ErrorLog:       lineLog(s.options.Log),
	}
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(listener) }()
	select {
	case err := <-failed:
		return fmt.Errorf("serve on %s: %w", listener.Addr(), err)
	case <-ctx.Done():
	}
	grace, done := context.WithTimeout(context.WithoutCancel(ctx), s.limits.Grace)
	defer done()
	if server.Shutdown(grace) == nil {
		return nil
	}
	cancel(errStopping)
	last, done := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer done()
	if server.Shutdown(last) != nil {
		return server.Close()
	}
	return nil
}
