package speedrun

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strings"

	"tandem/models"
	"tandem/workbench/config"
	"tandem/workbench/data"
	"tandem/workbench/lab"
	"tandem/xla"
)

// Plan is what a speedrun will do.
type Plan struct {
	Name string `json:"name"`
	// Base and Tuned are the names of the runs to be.
	Base    string `json:"base"`
	Tuned   string `json:"tuned"`
	Pattern string `json:"pattern"`
	// Backend is "go", "cpu" or "cuda", Card the card that predictions are for.
	Backend       string `json:"backend"`
	Card          string `json:"gpu,omitempty"`
	Conversations string `json:"conversations"`
	// Config is the base's.
	Config *config.Config `json:"config"`
	Tuning Tuning         `json:"tuning"`
	// Values explain Config and Tuning, Estimates what they take.
	Values    []Value `json:"values"`
	Estimates []Value `json:"estimates"`
}

// Tuning is how the tuning differs from the base.
type Tuning struct {
	Batch int `json:"batch"`
	// MostSteps bounds the steps of the epochs.
	MostSteps int     `json:"most_steps"`
	LRScale   float64 `json:"lr_scale"`
}

// Value is a number of a plan and the formula that it came from.
type Value struct {
	Key     string  `json:"key"`
	Value   float64 `json:"value"`
	Formula string  `json:"formula"`
}

// String is the value for people.
func (v Value) String() string {
	if strings.HasSuffix(v.Key, "_seconds") {
		return duration(v.Value)
	}
	if v.Value == math.Trunc(v.Value) && math.Abs(v.Value) < 1e15 {
		return lab.Grouped(int64(v.Value))
	}
	return fmt.Sprintf("%.4g", v.Value)
}

const (
	// hostMinutes is the base's time where there is no GPU and nothing says how long.
	hostMinutes = 3
	// tuningShare bounds the tuning's tokens by the base's, tuningRate is its share of the base's learning rates, as in
	// nanochat.
	tuningShare = 3
	tuningRate  = 0.8
	// passRows are the rows of a pass at most, as in nanochat: a card gains nothing by more.
	passRows = 32
	hostRows = 4 // and on a processor, as in tiny
	// saves is how many checkpoints a training has, validations how many of those: each reads some text.
	saves, validations = 10, 4
)

// onGPU is what a speedrun on a card begins with: nanochat's vocabulary and context, and a hybrid of 12 layers.
var onGPU = []string{"vocab=32768", "context=2048"}

const patternOnGPU = "pattern=(TM)6"

// planner makes a plan.
type planner struct {
	options Options
	given   map[string]bool // keys of overrides
	config  *config.Config
	model   *models.Model
	card    *lab.GPU // nil without CUDA
	// here is the backend of this machine; elsewhere says that the plan is for another.
	here      string
	elsewhere bool
	minutes   float64
	speed     speed
	horizon   config.Horizon
	plan      Plan
}

// planner finds out where the speedrun is to be, and what model that suits.
func (o Options) planner() (*planner, error) {
	p := &planner{options: o, given: o.given()}
	wished, err := config.Load("", o.Overrides)
	if err != nil {
		return nil, err
	}
	device, err := xla.Open(wished.Backend)
	if err != nil {
		return nil, err
	}
	p.here = device.Kind
	device.Finalize()
	if name := o.GPU; name != "" || p.here == "cuda" {
		if name == "" {
			name = "auto"
		}
		card, err := lab.FindGPU(name)
		if err != nil {
			return nil, err
		}
		p.card, p.elsewhere = &card, p.here != "cuda"
	}
	if err := p.configure(); err != nil {
		return nil, err
	}
	p.plan = Plan{Name: o.Name, Pattern: p.model.Config.Pattern.String(), Backend: p.here, Conversations: o.Conversations, Config: p.config}
	if p.card != nil {
		p.plan.Backend, p.plan.Card = "cuda", p.card.Name
	}
	if p.plan.Name == "" {
		p.plan.Name = fmt.Sprintf("speedrun-d%d", p.model.Config.Pattern.Depth())
	}
	if p.plan.Conversations == "" {
		p.plan.Conversations = data.QuestionsSpec
	}
	p.plan.Base, p.plan.Tuned = p.plan.Name+"-base", p.plan.Name+"-sft"
	p.config.Name, p.config.Run = p.plan.Base, p.plan.Base
	return p, nil
}

// configure reads the overrides over what suits the machine.
func (p *planner) configure() (err error) {
	var settings []string
	if p.card != nil {
		settings = slices.Clone(onGPU)
		if !p.given["pattern"] && !p.given["depth"] {
			settings = append(settings, patternOnGPU)
		}
	}
	if p.config, err = config.Load("", append(settings, p.options.Overrides...)); err != nil {
		return err
	}
	if p.model, err = models.New(p.config.Model); err != nil {
		return err
	}
	if p.minutes = p.config.Train.Minutes; p.minutes == 0 && p.card == nil && p.options.Ratio == 0 && !p.given["steps"] {
		p.minutes = hostMinutes
	}
	p.config.Train.Minutes = 0 // the plan counts steps, so that every call has the same
	return nil
}

// make derives the plan: the horizon, the step's shape, the rates, and what it all takes.
func (p *planner) make(ctx context.Context) (plan Plan, err error) {
	if err := p.options.lookAhead(ctx); err != nil {
		return plan, err
	}
	if p.horizon, err = config.NewHorizon(p.config.Model, p.options.Ratio, 0); err != nil {
		return plan, fmt.Errorf("speedrun: %w", err)
	}
	if err := p.shape(); err != nil {
		return plan, err
	}
	if p.speed, err = p.findSpeed(ctx); err != nil {
		return plan, err
	}
	if p.minutes > 0 {
		most := max(1, int64(60*p.minutes*p.speed.tokensPerSecond))
		if p.horizon, err = config.NewHorizon(p.config.Model, p.options.Ratio, most); err != nil {
			return plan, fmt.Errorf("speedrun: %w", err)
		}
		if err := p.shape(); err != nil {
			return plan, err
		}
		if p.card != nil { // another shape, another speed
			if err := p.timeBase(ctx); err != nil {
				return plan, err
			}
		}
	}
	p.rates()
	p.tune()
	p.explain()
	p.estimate()
	if err := p.config.Validate(); err != nil {
		return plan, fmt.Errorf("speedrun: %w", err)
	}
	return p.plan, nil
}

// perStep is the tokens of a step.
func (p *planner) perStep() int {
	return p.config.Train.Batch * p.config.Train.Accumulate * p.model.Config.Context
}

// shape divides a step into passes: as large as the card has room for, and on a processor as small as tiny's.
func (p *planner) shape() error {
	t := &p.config.Train
	rows := max(1, int(math.Round(float64(p.horizon.BatchTokens)/float64(p.model.Config.Context))))
	if p.card == nil {
		rows = max(rows, hostRows)
	}
	if p.given["accumulate"] {
		rows = max(1, rows/t.Accumulate)
	}
	switch {
	case p.given["batch"]:
	case p.card != nil:
		if err := p.shapeForCard(rows); err != nil {
			return err
		}
	default:
		t.Batch = largestDivisor(rows, hostRows)
	}
	if !p.given["accumulate"] {
		t.Accumulate = max(1, int(math.Round(float64(rows)/float64(t.Batch))))
	}
	if p.card != nil {
		_, err := lab.Memory(p.config, p.card)
		return err
	}
	if err := lab.FitsHost(p.model, p.config.Train.Memory(p.model)); err != nil {
		return fmt.Errorf("speedrun: %w", err)
	}
	return nil
}

// shapeForCard takes the fastest passes that fit.
func (p *planner) shapeForCard(rows int) error {
	t := &p.config.Train
	training := t.Memory(p.model)
	training.Batch, training.Accumulate = rows, 1
	for _, setting := range p.model.Settings(training, *p.card) {
		if !p.given["checkpoint"] || setting.Checkpoint == t.Checkpoint {
			t.Batch, t.Checkpoint = largestDivisor(rows, min(setting.Batch, passRows)), setting.Checkpoint
			return nil
		}
	}
	t.Batch, t.Accumulate = 1, rows
	_, err := lab.Memory(p.config, p.card) // says what would fit
	return err
}

func largestDivisor(of, most int) int {
	for d := min(of, most); d > 1; d-- {
		if of%d == 0 {
			return d
		}
	}
	return 1
}

// rates sets steps, learning rates and decay.
func (p *planner) rates() {
	t := &p.config.Train
	set := func(key string, field *float64, value float64) {
		if !p.given[key] {
			*field = value
		}
	}
	if !p.given["steps"] {
		t.Steps = max(1, int(p.horizon.Tokens/int64(p.perStep())))
	}
	set("lr_scale", &t.LRScale, config.LRScale(p.perStep()))
	set("weight_decay", &t.WeightDecay, p.horizon.WeightDecay(t.Steps, t.LRScale))
	set("warmdown", &t.Warmdown, config.Warmdown)
	if !p.given["save_every"] {
		t.SaveEvery = share(t.Steps, saves)
	}
	if !p.given["eval_every"] {
		t.EvalEvery = share(t.Steps, validations)
	}
	p.config.Train = t.Resolved()
}

// share is one of so many parts of the steps, rounded up.
func share(steps, parts int) int { return (steps + parts - 1) / parts }

// tune sizes the tuning: passes like the base's, one of them a step.
func (p *planner) tune() {
	t := p.config.Train
	batch := t.Batch
	if p.card != nil { // a step of one pass takes other memory than one of several
		training := t.Memory(p.model)
		training.Accumulate = 1
		batch = max(1, min(batch, p.model.LargestBatch(training, p.card.Available())))
	}
	perStep := batch * p.model.Config.Context
	p.plan.Tuning = Tuning{
		Batch: batch, LRScale: tuningRate * t.LRScale * config.LRScale(perStep) / config.LRScale(p.perStep()),
		MostSteps: max(1, t.Steps*p.perStep()/tuningShare/perStep),
	}
}
