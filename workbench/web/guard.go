package web

import (
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"log"
	"net"
	"net/http"
	"runtime/debug"
	"strconv"
	"strings"
	"time"
)

// guard keeps out what a browser may be tricked into sending.
//
//  1. Another site's page must not use the server: requests that change something must come from its own page, or from
//     no browser.
//  2. Without a token the server is this machine's: a name that an attacker points at 127.0.0.1 is refused (DNS
//     rebinding).
func (s *Server) guard(next http.Handler) http.Handler {
	foreign := http.NewCrossOriginProtection()
	foreign.SetDenyHandler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		writeError(w, &apiError{status: http.StatusForbidden, kind: kindInvalid, code: "cross_origin", message: "the pages of other sites may not use this server"})
	}))
	inner := foreign.Handler(next)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		host := r.Host
		if name, _, err := net.SplitHostPort(host); err == nil {
			host = name
		}
		if s.options.Token == "" && !loopback(host) {
			writeError(w, &apiError{status: http.StatusForbidden, kind: kindInvalid, code: "unknown_host",
				message: fmt.Sprintf("host %q: without a token this server answers only as localhost; start it with --token to use another name", clip(host))})
			return
		}
		inner.ServeHTTP(w, r)
	})
}

// recover answers for a handler that panicked. Where the answer has begun the connection is cut instead.
func (s *Server) recover(w *statusWriter) {
	cause := recover()
	if cause == nil {
		return
	}
	if err, ok := cause.(error); ok && errors.Is(err, http.ErrAbortHandler) {
		panic(cause)
	}
	s.options.Log(fmt.Sprintf("panic in a request: %v\n%s", cause, debug.Stack()))
	if w.status != 0 {
		panic(http.ErrAbortHandler)
	}
	writeError(w, &apiError{status: http.StatusInternalServerError, kind: kindServer, message: "an internal error; the server's log says more"})
}

// authorised asks for the token, if there is one.
func (s *Server) authorised(next http.HandlerFunc) http.HandlerFunc {
	if s.options.Token == "" {
		return next
	}
	want := sha256.Sum256([]byte(s.options.Token))
	return func(w http.ResponseWriter, r *http.Request) {
		scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
		got := sha256.Sum256([]byte(strings.TrimSpace(token)))
		if !strings.EqualFold(scheme, "Bearer") || subtle.ConstantTimeCompare(got[:], want[:]) != 1 {
			e := &apiError{status: http.StatusUnauthorized, kind: kindAuth, code: "invalid_api_key", message: "the token is wrong; send the one given to workbench serve --token"}
			if scheme == "" {
				e.message = "no token was sent; send the one given to workbench serve --token as: Authorization: Bearer TOKEN"
			}
			writeError(w, e)
			return
		}
		next(w, r)
	}
}

// measured counts requests and their time, and keeps a panic in.
func (s *Server) measured(path string, next http.HandlerFunc) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		started, kept := time.Now(), &statusWriter{ResponseWriter: w}
		defer func() {
			s.metrics.requests.WithLabelValues(path, strconv.Itoa(kept.code())).Inc()
			s.metrics.seconds.WithLabelValues(path).Observe(time.Since(started).Seconds())
		}()
		defer s.recover(kept)
		next(kept, r)
	})
}

// statusWriter remembers the status of an answer.
type statusWriter struct {
	http.ResponseWriter
	status int
}

func (w *statusWriter) WriteHeader(status int) {
	w.status = status
	w.ResponseWriter.WriteHeader(status)
}

func (w *statusWriter) Write(content []byte) (int, error) {
	if w.status == 0 {
		w.status = http.StatusOK
	}
	return w.ResponseWriter.Write(content)
}

// Unwrap lets http.ResponseController find the connection.
func (w *statusWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// code is the status for the metrics; 499 is a client that left before it was answered.
func (w *statusWriter) code() int {
	if w.status == 0 {
		return statusClientGone
	}
	return w.status
}

const statusClientGone = 499

// lineLog is a logger that writes to a function.
func lineLog(say func(string)) *log.Logger {
	return log.New(lineWriter(say), "", 0)
}

type lineWriter func(string)

func (w lineWriter) Write(line []byte) (int, error) {
	w(strings.TrimSpace(string(line)))
	return len(line), nil
}
