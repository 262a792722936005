package web

import (
	"net/http"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"tandem/workbench/chat"
)

// metrics are what Prometheus reads at /metrics.
type metrics struct {
	handler  http.Handler
	requests *prometheus.CounterVec   // by path and status
	seconds  *prometheus.HistogramVec // by path
	first    prometheus.Histogram
	speed    prometheus.Histogram
	prompt   prometheus.Counter
	reused   prometheus.Counter
	answer   prometheus.Counter
}

func newMetrics(s *Server) *metrics {
	buckets := prometheus.ExponentialBuckets(0.001, 2.5, 15) // 1 ms to 6 minutes
	m := &metrics{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "tandem_requests_total", Help: "Requests answered; status 499 is a client that left."}, []string{"path", "status"}),
		seconds:  prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "tandem_request_seconds", Help: "Time of whole requests.", Buckets: buckets}, []string{"path"}),
		first:    prometheus.NewHistogram(prometheus.HistogramOpts{Name: "tandem_first_token_seconds", Help: "Time to an answer's first token, waiting included.", Buckets: buckets}),
		speed:    prometheus.NewHistogram(prometheus.HistogramOpts{Name: "tandem_answer_tokens_per_second", Help: "Speed of an answer after its first token.", Buckets: prometheus.ExponentialBuckets(1, 2, 14)}),
		prompt:   prometheus.NewCounter(prometheus.CounterOpts{Name: "tandem_prompt_tokens_total", Help: "Tokens before answers."}),
		reused:   prometheus.NewCounter(prometheus.CounterOpts{Name: "tandem_reused_tokens_total", Help: "Tokens before answers that a kept state spared feeding."}),
		answer:   prometheus.NewCounter(prometheus.CounterOpts{Name: "tandem_answer_tokens_total", Help: "Tokens of answers."}),
	}
	gauge := func(name, help string, value func() float64) prometheus.Collector {
		return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, value)
	}
	registry := prometheus.NewRegistry()
	registry.MustRegister(
		m.requests, m.seconds, m.first, m.speed, m.prompt, m.reused, m.answer,
		gauge("tandem_requests_running", "Requests that are answered or wait.", func() float64 { return float64(len(s.places)) }),
		gauge("tandem_cache_bytes", "States kept for conversations that go on.", func() float64 { return float64(s.cache.Bytes()) }),
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	)
	if state := s.options.StateBytes; state != nil {
		registry.MustRegister(gauge("tandem_state_bytes", "Decoding states on the device.", func() float64 { return float64(state()) }))
	}
	m.handler = promhttp.HandlerFor(registry, promhttp.HandlerOpts{})
	return m
}

// answered counts a finished or broken answer.
func (m *metrics) answered(u chat.Usage) {
	m.prompt.Add(float64(u.Prompt))
	m.reused.Add(float64(u.Reused))
	m.answer.Add(float64(u.Answer))
	if u.Answer > 0 {
		m.first.Observe(u.First.Seconds())
	}
	if speed := u.TokensPerSecond(); speed > 0 {
		m.speed.Observe(speed)
	}
}
