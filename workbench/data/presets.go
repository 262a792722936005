package data

import "slices"

// Preset is a name for a corpus on the hub.
type Preset struct {
	Name    string `json:"name"`
	Spec    string `json:"spec"`
	Licence string `json:"licence"`
	// URL is the page of the dataset.
	URL   string `json:"url"`
	About string `json:"about"`
}

const datasetPages = "https://huggingface.co/datasets/"

// Presets lists the corpora that have a name of their own. The two that are too large to be read whole end after a
// number of rows, which NAME[:N] changes.
var Presets = []Preset{
	{"climbmix", "hf:karpathy/climbmix-400b-shuffle:::text[:680_000]", "CC BY-NC 4.0 (of nvidia/Nemotron-ClimbMix; not for commercial use)",
		datasetPages + "karpathy/climbmix-400b-shuffle", "filtered and mixed web text, shuffled; the first 680,000 documents are about 0.5 billion tokens"},
	{"fineweb-edu", "hf:HuggingFaceFW/fineweb-edu:sample-10BT:train:text[:500_000]", "ODC-By 1.0, and the terms of use of Common Crawl",
		datasetPages + "HuggingFaceFW/fineweb-edu", "web text of educational value; the first 500,000 documents are about 0.5 billion tokens"},
	{"smoltalk", "hf:HuggingFaceTB/smol-smoltalk::train:messages", "Apache 2.0",
		datasetPages + "HuggingFaceTB/smol-smoltalk", "460,000 conversations for small models"},
	{"gsm8k", "hf:openai/gsm8k:main:train:question+answer", "MIT",
		datasetPages + "openai/gsm8k", "7,473 word problems with worked answers"},
	{"arc", "hf:allenai/ai2_arc:ARC-Challenge:train:question+choices", "CC BY-SA 4.0",
		datasetPages + "allenai/ai2_arc", "science questions with choices, grades 3 to 9"},
	{"mmlu", "hf:cais/mmlu:all:auxiliary_train:question+choices", "MIT",
		datasetPages + "cais/mmlu", "exam questions with choices in 57 subjects: their auxiliary training set"},
	{"humaneval", "hf:openai/openai_humaneval::test:prompt+canonical_solution", "MIT",
		datasetPages + "openai/openai_humaneval", "164 Python functions to complete, with tests"},
}

// FindPreset finds a preset by its name, or gives nil.
func FindPreset(name string) *Preset {
	at := slices.IndexFunc(Presets, func(p Preset) bool { return p.Name == name })
	if at < 0 {
		return nil
	}
	return &Presets[at]
}
