package xla_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"tandem/tests/testkit"
	"tandem/xla"
)

func TestEveryKernelAgreesWithItsDefinition(t *testing.T) {
	device := testkit.Device(t)
	checks := xla.SelfTest(device)
	if device.Kind != "cuda" {
		require.Empty(t, checks)
		t.Skip("there are no kernels but on CUDA")
	}
	require.NotEmpty(t, checks)
	for _, check := range checks {
		require.Truef(t, check.OK(), "%s: error %g of at most %g; %s", check.Operation, check.Error, check.Allowed, check.Problem)
	}
}
