package config_test

import (
	"fmt"

	"tandem/workbench/config"
)

// A named configuration, changed; every value says where it comes from.
func Example() {
	c, err := config.Load("hybrid_alternating_d20", []string{"pattern=T2 M2", "mamba.state=32"})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, derived := range c.Derived() {
		switch derived.Key {
		case "pattern", "width", "mamba.state", "warmup", "parameters":
			fmt.Println(derived.Key, "=", derived.Value, "from", derived.Formula)
		}
	}
	_, err = config.Load("tiny", []string{"vocab=200"})
	fmt.Println(err)
	// Output:
	// pattern = T2 M2 from all T unless given
	// width = 256 from 64 · depth, rounded up to a multiple of 128, unless given
	// mamba.state = 32 from 16 unless given
	// warmup = 1 from 1 unless given: the whole rate from the first step
	// parameters = 36051968 from sum of the sizes of all weights
	// vocab 200: too small, for 256 bytes and 9 special tokens need an id each; give at least 265
}
