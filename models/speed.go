package models

// The shares of a card's peaks that training reaches, and what it moves, calibrated on one H200 (docs/benchmarks/h200.md):
// T20 and M20 of 1,280 channels at 16 × 2,048 tokens and T20 at 4 × 8,192 fix the three shares, and bytes counted in the
// optimized programs of the first two fix the traffic. Hybrids, checkpoints and contexts up to 32,768 then come out within
// 5%. Other cards differ in what limits them: expect 20% there, more where a card's clock falls under load.
const (
	matrixShare    = 0.61
	attentionShare = 0.45
	vectorShare    = 0.187
	bandwidthShare = 0.8
	// trafficPerKept is the bytes that norms, activations and additions move for each byte kept for backward.
	trafficPerKept = 3.3
	// updateTraffic is the bytes that the optimizer moves a weight, sumTraffic what adding up a pass's gradients does.
	updateTraffic, sumTraffic = 60, 12
)

// Speed is a prediction of a training's speed.
type Speed struct {
	TokensPerSecond float64 `json:"tokens_per_second"`
	StepSeconds     float64 `json:"step_seconds"`
	// PeakShare is the share of the card's matrix peak that the training's FLOPs amount to.
	PeakShare float64 `json:"peak_share"`
}

// Speed predicts how fast a training runs on a card: the times of matrix products, attention, the scan and memory traffic,
// one after another, each at its share of the card's peak.
func (m *Model) Speed(t Training, gpu GPU) Speed {
	tokens := float64(t.Batch) * float64(m.Config.Context)
	products := 2 * float64(m.Config.Width) * float64(m.Config.Vocab) * tokens
	var attention, vector, kept float64
	for _, block := range m.stack {
		cost := block.Cost(t.Batch, m.Config.Context)
		products += cost.MatrixFLOPs
		attention += cost.MixFLOPs - cost.VectorFLOPs
		vector += cost.VectorFLOPs + cost.RepeatedFLOPs
		kept += float64(cost.ActivationBytes)
	}
	passes, weights := float64(max(1, t.Accumulate)), float64(m.Parameters())
	traffic := trafficPerKept * kept
	times, heads := 3.0, 2*float64(m.Config.Width)*float64(m.Config.Vocab)*tokens
	if t.Checkpoint > 0 { // blocks run forward once more but for their last product, the head does not
		times = 3.67
		traffic *= 1.33
	}
	seconds := (times*products-(times-3)*heads)/(matrixShare*1e12*gpu.MatrixTFLOPs) +
		times*attention/(attentionShare*1e12*gpu.MatrixTFLOPs) +
		times*vector/(vectorShare*1e12*gpu.VectorTFLOPs) +
		traffic/(bandwidthShare*1e9*gpu.GBPerSecond)
	seconds *= passes
	if t.Update {
		traffic := updateTraffic * weights
		if passes > 1 {
			traffic += passes * sumTraffic * weights
		}
		seconds += traffic/(bandwidthShare*1e9*gpu.GBPerSecond) + m.muonFLOPs()/(matrixShare*1e12*gpu.MatrixTFLOPs)
	}
	return Speed{
		TokensPerSecond: passes * tokens / seconds, StepSeconds: seconds,
		PeakShare: passes * m.FLOPs(t.Batch, m.Config.Context) / seconds / (1e12 * gpu.MatrixTFLOPs),
	}
}

// muonFLOPs is five iterations of X ← aX + (bA + cA²)X, A = XXᵀ, on every matrix.
func (m *Model) muonFLOPs() (flops float64) {
	for _, weight := range m.weights {
		if weight.Group == GroupMatrix {
			short, long := float64(min(weight.Shape[0], weight.Shape[1])), float64(max(weight.Shape[0], weight.Shape[1]))
			flops += 5 * 2 * short * short * (2*long + short)
		}
	}
	return flops
}
