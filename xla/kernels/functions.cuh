// The functions around the scan.
#pragma once

#include "primitives.cuh"

constexpr float kLog2E = 1.4426950408889634f;

// The logistic function. Below -88 the exponential is infinite and the result 0.
static __device__ __forceinline__ float sigmoid(float x) { return reciprocal_fast(1.0f + exp2_fast(-kLog2E * x)); }

// ln(1 + exp(x)) = max(x, 0) + ln(1 + e), e = exp(-|x|), with ln(1 + e) = 2·atanh(s), s = e/(2 + e) in [0, 1/3]: accurate
// relative to the result however small it is. The polynomial is 2·atanh(s)/s in s², relative error 4e-9.
static __device__ __forceinline__ float softplus(float x) {
  float e = exp2_fast(-kLog2E * fabsf(x));
  float s = e * reciprocal_fast(2.0f + e), s2 = s * s;
  float p = fmaf(s2, 0.2815777837f, 0.2796515774f);
  p = fmaf(s2, p, 0.4002459523f);
  p = fmaf(s2, p, 0.6666632164f);
  return fmaxf(x, 0.0f) + s * fmaf(s2, p, 2.0f);
}
