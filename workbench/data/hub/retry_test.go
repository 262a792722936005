package hub_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tandem/tests/testkit"
	"tandem/workbench/data/hub"
)

func TestRetryAfterIsWaitedForAndSaid(t *testing.T) {
	server := testkit.NewHub(t)
	files := shards(1, 1000)
	server.Add(id, "main", nil, files)
	server.Misbehave = func(w http.ResponseWriter, r *http.Request, number int) bool {
		if number == 1 && strings.Contains(r.URL.Path, "/revision/") {
			w.Header().Set("Retry-After", "1")
			w.WriteHeader(http.StatusTooManyRequests)
			return true
		}
		return false
	}
	c := client(t, server)
	var said []string
	c.Say = func(text string) { said = append(said, text) }
	start := time.Now()
	download(t, c, files)
	require.GreaterOrEqual(t, time.Since(start), time.Second)
	require.Equal(t, []string{"hub: the hub says 429 Too Many Requests; trying again in 1s"}, said)
}

func TestALimitOnRequestsIsWaitedForAsTheHubSaysIt(t *testing.T) {
	for _, test := range []struct {
		name   string
		header http.Header
		status int
		says   string // of the error
	}{
		{"the window ends in fifteen minutes", http.Header{"Ratelimit": {`"api";r=0;t=900`}, "Ratelimit-Policy": {`"fixed window";"api";q=500;w=900`}}, 429, "come back in 15m1s"},
		{"parameters in another order", http.Header{"Ratelimit": {`"resolvers"; t=700; r=0`}}, 429, "come back in 11m41s"},
		{"Retry-After is more exact", http.Header{"Retry-After": {"800"}, "Ratelimit": {`"api";r=0;t=900`}}, 429, "come back in 13m20s"},
		{"no number at all", http.Header{"Ratelimit": {`"api";r=0;t=soon`}}, 429, "(2 attempts)"},
		{"requests are left, and the fault is another", http.Header{"Ratelimit": {`"api";r=496;t=900`}}, 503, "(2 attempts)"},
	} {
		t.Run(test.name, func(t *testing.T) {
			server := testkit.NewHub(t)
			server.Misbehave = func(w http.ResponseWriter, _ *http.Request, _ int) bool {
				for name, values := range test.header {
					w.Header()[name] = values
				}
				w.WriteHeader(test.status)
				return true
			}
			c := client(t, server)
			c.Attempts = 2
			_, err := c.Dataset(t.Context(), id, hub.Main)
			requireLine(t, err, test.says)
		})
	}
}
