package hub

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"regexp"
	"strconv"
	"time"
)

const (
	backoffMax = time.Minute
	// patience is the longest Retry-After that is waited for.
	patience = 10 * time.Minute
	// bodyMax bounds an answer of the API, which is held in memory.
	bodyMax = 64 << 20
)

// again marks an error that another attempt may cure.
type again struct {
	error
	after time.Duration // that the hub asked for; 0: it did not
	moved bool          // the attempt came further than those before it
}

func (e again) Unwrap() error { return e.error }

// persist calls attempt until it succeeds, fails with an error that is not again, or fails Attempts times in a row
// without coming any further.
func (c *Client) persist(ctx context.Context, attempt func() error) error {
	attempts := cmp.Or(c.Attempts, 6)
	for failed := 1; ; failed++ {
		err := attempt()
		var retry again
		switch {
		case err == nil:
			return nil
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case !errors.As(err, &retry):
			return err
		}
		if retry.moved {
			failed = 1
		}
		if failed >= attempts {
			return fmt.Errorf("%w (%d attempts)", err, failed)
		}
		if retry.after > patience {
			return fmt.Errorf("%w; the hub asks to come back in %s", err, retry.after.Round(time.Second))
		}
		pause := c.pause(failed, retry.after)
		c.say("hub: %v; trying again in %s", err, pause.Round(100*time.Millisecond))
		timer := time.NewTimer(pause)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return context.Cause(ctx)
		}
	}
}

// pause doubles with each failure, and a half of it is drawn, so that many clients do not come back at once.
func (c *Client) pause(failed int, asked time.Duration) time.Duration {
	if asked > 0 {
		return asked
	}
	pause := min(backoffMax, cmp.Or(c.Backoff, time.Second)<<min(failed-1, 16))
	return pause/2 + rand.N(pause/2+1)
}

// StatusError is a refusal of the hub.
type StatusError struct {
	Status  int
	Code    string // the hub's own, such as GatedRepo
	Message string
}

func (e *StatusError) Error() string {
	text := fmt.Sprintf("the hub says %d %s", e.Status, http.StatusText(e.Status))
	if e.Message != "" {
		text += fmt.Sprintf(" (%.200s)", e.Message)
	}
	return text
}

// statusError makes the error of a response that is not wanted.
func statusError(response *http.Response) error {
	refusal := &StatusError{Status: response.StatusCode, Code: response.Header.Get("X-Error-Code"), Message: response.Header.Get("X-Error-Message")}
	switch code := response.StatusCode; {
	case code == http.StatusRequestTimeout, code == http.StatusTooManyRequests, code >= 500 && code != http.StatusNotImplemented:
		after := retryAfter(response.Header.Get("Retry-After"), time.Now())
		if code == http.StatusTooManyRequests && after == 0 {
			after = rateLimitReset(response.Header.Get("RateLimit"))
		}
		return again{error: refusal, after: after}
	}
	return refusal
}

// retryAfter reads a number of seconds or a date (RFC 9110, section 10.2.3).
func retryAfter(value string, now time.Time) time.Duration {
	if seconds, err := strconv.Atoi(value); err == nil && seconds >= 0 && seconds < 1<<30 {
		return time.Duration(seconds) * time.Second
	}
	if date, err := http.ParseTime(value); err == nil {
		return max(0, date.Sub(now))
	}
	return 0
}

var resetParameter = regexp.MustCompile(`;\s*t=(\d{1,9})\b`)

// rateLimitReset reads how long a limit on requests still holds, as the hub says it: "api";r=0;t=55 is 55 seconds
// (draft-ietf-httpapi-ratelimit-headers-09). One more is waited, for the rest of the last one.
func rateLimitReset(value string) time.Duration {
	found := resetParameter.FindStringSubmatch(value)
	if found == nil {
		return 0
	}
	seconds, _ := strconv.Atoi(found[1]) // at most nine digits
	return time.Duration(seconds+1) * time.Second
}

// get reads JSON from the API.
func (c *Client) get(ctx context.Context, address string, into any) (http.Header, error) {
	var header http.Header
	err := c.persist(ctx, func() error {
		ctx, cancel := context.WithTimeout(ctx, 2*c.stall())
		defer cancel()
		response, err := c.request(ctx, address, nil)
		if err != nil {
			return err
		}
		defer response.Body.Close()
		if response.StatusCode != http.StatusOK {
			return statusError(response)
		}
		body, err := io.ReadAll(io.LimitReader(response.Body, bodyMax))
		if err != nil {
			return again{error: fmt.Errorf("the answer was cut off: %w", err)}
		}
		if err := json.Unmarshal(body, into); err != nil {
			return fmt.Errorf("the answer of %s is no such JSON as the hub gives: %w; is HF_ENDPOINT a hub?", address, err)
		}
		header = response.Header
		return nil
	})
	return header, err
}

// request sends a GET. An error of the network is again.
func (c *Client) request(ctx context.Context, address string, header http.Header) (*http.Response, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, err
	}
	for name, values := range header {
		request.Header[name] = values
	}
	request.Header.Set("User-Agent", "tandem")
	response, err := c.http().Do(request)
	if err != nil {
		return nil, again{error: &unreachable{err}}
	}
	return response, nil
}

// unreachable is a failure to reach the hub at all.
type unreachable struct{ error }

func (e *unreachable) Unwrap() error { return e.error }
