package hub_test

import (
	"context"
	"fmt"

	"tandem/workbench/data/hub"
)

func Example() {
	client, err := hub.FromEnvironment()
	if err != nil {
		fmt.Println(err)
		return
	}
	client.Offline, client.Cache = true, "/nowhere"
	_, err = client.Parquet(context.Background(), "openai/gsm8k", hub.Main, "main", "train")
	fmt.Println(err)
	// Output: dataset openai/gsm8k at main is not in the cache /nowhere, and the hub is not asked: HF_HUB_OFFLINE is set; unset it
}
