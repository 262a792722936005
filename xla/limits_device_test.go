//go:build cgo

package xla_test

import (
	"reflect"
	"testing"

	"github.com/gomlx/go-xla/pjrt"
	"github.com/stretchr/testify/require"

	"tandem/tests/testkit"
	"tandem/xla"
)

func TestTheLimitsOfAGPUAreReadFromItsDescription(t *testing.T) {
	const shared, capability = "shared_memory_per_block_optin", "compute_capability"
	ada := map[string]any{"device_vendor": "NVIDIA Corporation", capability: "8.9", "core_count": int64(128), shared: int64(101376)}
	told := xla.Limits{ComputeCapability: "8.9", SharedMemory: 101376}
	for name, c := range map[string]struct {
		gpu  testkit.FakeGPU
		want xla.Limits
	}{
		"both are told":                           {testkit.FakeGPU{Attributes: ada}, told},
		"the capability alone says how much":      {testkit.FakeGPU{Attributes: map[string]any{capability: "8.9"}}, told},
		"nothing counts as not told":              {testkit.FakeGPU{Attributes: map[string]any{capability: "8.9", shared: int64(0)}}, told},
		"a GPU newer than the table has no limit": {testkit.FakeGPU{Attributes: map[string]any{capability: "99.0"}}, xla.Limits{ComputeCapability: "99.0"}},
		"a newer GPU may tell":                    {testkit.FakeGPU{Attributes: map[string]any{capability: "99.0", shared: int64(7)}}, xla.Limits{ComputeCapability: "99.0", SharedMemory: 7}},
		"attributes of another type are others":   {testkit.FakeGPU{Attributes: map[string]any{capability: int64(9), shared: "7"}}, xla.Limits{}},
		"a longer name is another":                {testkit.FakeGPU{Attributes: map[string]any{capability + "s": "8.9", shared + "s": int64(7)}}, xla.Limits{}},
		"no attributes":                           {testkit.FakeGPU{}, xla.Limits{}},
		"the plugin fails":                        {testkit.FakeGPU{Attributes: ada, Fails: true}, xla.Limits{}},
		"the table ends before the function":      {testkit.FakeGPU{Attributes: ada, Functions: 25}, xla.Limits{}},
		"the attributes are of an unknown size":   {testkit.FakeGPU{Attributes: ada, ValueSize: 64}, xla.Limits{}},
	} {
		t.Run(name, func(t *testing.T) {
			require.Equal(t, c.want, xla.ReadLimits(c.gpu.Make(t)))
			require.Zero(t, testkit.FakeErrors(), "errors are the reader's to destroy")
		})
	}
}

func TestGoXLAStillHasWhatTheLimitsAreReachedBy(t *testing.T) {
	description, ok := reflect.TypeFor[pjrt.DeviceDescription]().FieldByName("deviceDescription")
	require.True(t, ok, "go-xla has changed: pin it to v0.4.1 in go.mod, or adapt xla/limits_device.go")
	require.Equal(t, reflect.Pointer, description.Type.Kind())
}

func TestADeviceTellsItsLimitsOnCUDAAlone(t *testing.T) {
	device := testkit.Device(t)
	limits := device.Limits()
	if device.Kind != "cuda" {
		require.Zero(t, limits)
		return
	}
	require.Regexp(t, `^\d+\.\d$`, limits.ComputeCapability)
	require.GreaterOrEqual(t, limits.SharedMemory, 48<<10)
}
