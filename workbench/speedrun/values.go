package speedrun

import (
	"fmt"
	"math"

	"tandem/workbench/config"
)

// explain lists the plan's numbers, each with its formula.
func (p *planner) explain() {
	t, h, tuning := p.config.Train, p.horizon, p.plan.Tuning
	add := func(key string, value float64, formula string) {
		if p.given[key] {
			formula = "given"
		}
		p.plan.Values = append(p.plan.Values, Value{key, value, formula})
	}
	for _, derived := range p.config.Derived() {
		switch derived.Key {
		case "depth", "width", "vocab", "context":
			add(derived.Key, float64(derived.Value.(int)), p.shapeFormula(derived.Key, derived.Formula))
		}
	}
	add("parameters", float64(p.model.Parameters()), "sum of the sizes of all weights")
	add("scaling_parameters", float64(h.Scaling), config.ScalingFormula)
	add("reference_parameters", float64(h.Reference), config.ReferenceFormula)
	ratio := p.options.Ratio
	if ratio == 0 {
		ratio = config.DefaultRatio
	}
	add("ratio", ratio, "tokens for each of the scaling parameters, as in nanochat's speedrun, unless given")
	tokens := "ratio · scaling_parameters"
	if p.minutes > 0 {
		add("minutes", p.minutes, "of the base's steps, where there is no GPU, unless given")
		tokens += ", at most 60 · minutes · tokens_per_second"
	}
	if p.given["steps"] {
		h.Tokens, tokens = int64(t.Steps*p.perStep()), "steps · tokens_per_step, which is as for ratio · scaling_parameters tokens"
	}
	add("tokens", float64(h.Tokens), tokens)
	most, perStep := passRows, config.BatchFormula
	if p.card == nil {
		most, perStep = hostRows, fmt.Sprintf("%s; at least %d · context", perStep, hostRows)
	}
	passes := fmt.Sprintf("rows of a pass: the largest divisor of the step's that fits, at most %d", most)
	add("batch", float64(t.Batch), passes)
	add("accumulate", float64(t.Accumulate), "passes of a step: tokens_per_step / (batch · context)")
	add("checkpoint", float64(t.Checkpoint), "blocks run again in backward: 0 unless that makes passes that fit faster")
	if p.given["accumulate"] {
		perStep = "batch · accumulate · context"
	}
	add("tokens_per_step", float64(p.perStep()), perStep)
	add("steps", float64(t.Steps), "tokens / tokens_per_step")
	p.explainRates(add)
	add("sft_batch", float64(tuning.Batch), "as batch, if that fits in steps of one pass")
	add("sft_steps", float64(tuning.MostSteps), fmt.Sprintf("at most: an epoch takes fewer if there are few conversations; tokens / %d / (sft_batch · context)", tuningShare))
	add("sft_lr_scale", tuning.LRScale, fmt.Sprintf("%g · lr_scale, for steps of sft_batch · context tokens; no decay, warm-down over half", tuningRate))
}

// shapeFormula is where the model's shape comes from: its configuration, if no dial was given.
func (p *planner) shapeFormula(key, formula string) string {
	switch {
	case key == "depth":
		return "the pattern's length: the one dial"
	case p.card == nil && !p.given["pattern"] && !p.given["depth"], key != "width" && p.card == nil:
		return "as in tiny, where there is no GPU, unless given"
	case key != "width":
		return "as in nanochat unless given"
	}
	return formula
}

func (p *planner) explainRates(add func(key string, value float64, formula string)) {
	t := p.config.Train
	narrow := math.Sqrt(768 / float64(p.model.Config.Width))
	add("lr_scale", t.LRScale, config.LRScaleFormula)
	effective := func(key string, base, factor float64, formula string) {
		p.plan.Values = append(p.plan.Values, Value{key, base * t.LRScale * factor, fmt.Sprintf(formula, base)})
	}
	effective("matrix_lr in effect", t.MatrixLR, 1, "%g · lr_scale (Muon)")
	effective("embedding_lr in effect", t.EmbeddingLR, narrow, "%g · lr_scale · √(768 / width)")
	effective("head_lr in effect", t.HeadLR, narrow, "%g · lr_scale · √(768 / width)")
	effective("scalar_lr in effect", t.ScalarLR, 1, "%g · lr_scale")
	add("weight_decay", t.WeightDecay, config.DecayFormula+"; falls to 0 by a cosine")
	add("warmup", float64(t.Warmup), "the whole rate from the first step")
	add("warmdown", t.Warmdown, fmt.Sprintf("the last %g of the steps, down to final_lr, as in nanochat", config.Warmdown))
	add("final_lr", t.FinalLR, "share of the rate at the end")
	add("save_every", float64(t.SaveEvery), fmt.Sprintf("steps / %d", saves))
	add("eval_every", float64(t.EvalEvery), fmt.Sprintf("steps / %d", validations))
}

// estimate says what base and tuning take. Tokenizer and evaluation depend on the data and are not in it.
func (p *planner) estimate() {
	t, tuning := p.config.Train, p.plan.Tuning
	rate := p.speed.tokensPerSecond
	base := float64(t.Steps*p.perStep()) / rate
	most := float64(tuning.MostSteps*tuning.Batch*p.model.Config.Context) / rate
	p.plan.Estimates = []Value{
		{"tokens_per_second", math.Round(rate), p.speed.from},
		{"base_seconds", math.Round(base), "steps · tokens_per_step / tokens_per_second, without compiling and validating"},
		{"sft_seconds", math.Round(most), "at most, by sft_steps; tokenizer and evaluation depend on the data and come on top"},
		{"memory_mib", math.Round(float64(p.speed.bytes) / (1 << 20)), p.speed.bytesFrom},
	}
}
