// Adds up the parts of a head's attention that attend_split of attend_step.cu left, for one new token a row:
//
//   y = Σ_s 2^(largest_s - largest)·part_s / Σ_s 2^(largest_s - largest)·sum_s; zero where there was nothing to attend to
//
// Entry, for D in bf16, f32:
//   attend_join_D   parts f32 [B,H,S,E], weights f32 [B,H,S,2] (largest score, sum);   then y [B,H,E]
// Conditions: E at most 256, S at most 512.
//
// Launch: block (kLaunchPerChannel·E,1,1), grid (H,B,1). No dynamic shared memory.
//
// Constants: kHeads H, kSplits S.
//
// A thread has one channel of every kJoined-th part, and asks for the first of them before the parts' weights are known.
#include "lanes.cuh"
#include "primitives.cuh"

extern "C" __constant__ int kHeads = 0x7A000001;
extern "C" __constant__ int kSplits = 0x7A000002;

constexpr int kJoined = 4, kMostChannels = 256, kPartsAhead = 8, kMostSplits = 512;
constexpr float kNothing = -1e30f; // below any score, and finite
extern "C" __constant__ int kLaunchPerChannel = kJoined;

template <typename T> __device__ __forceinline__ void join(const float *parts, const float *weights, T *y) {
  __shared__ float largest[kMostSplits], sums[kMostSplits], totals[kJoined], outs[kJoined][kMostChannels];
  const int channels = blockDim.x / kJoined, channel = threadIdx.x % channels, begin = threadIdx.x / channels;
  const long long head = (long long)blockIdx.y * kHeads + blockIdx.x;
  parts += head * kSplits * channels + channel, weights += head * kSplits * 2;
  float ahead[kPartsAhead];
#pragma unroll
  for (int i = 0; i < kPartsAhead; i++) {
    const int split = begin + i * kJoined;
    ahead[i] = split < kSplits ? parts[(long long)split * channels] : 0.0f;
  }
  for (int split = threadIdx.x; split < kSplits; split += blockDim.x) {
    largest[split] = weights[2 * split], sums[split] = weights[2 * split + 1];
  }
  __syncthreads();
  float most = kNothing, total = 0, out = 0;
#pragma unroll 8
  for (int split = 0; split < kSplits; split++) {
    most = fmaxf(most, largest[split]);
  }
  const auto add = [&](int split, float value) {
    const float weight = exp2_fast(largest[split] - most);
    total = fmaf(weight, sums[split], total), out = fmaf(weight, value, out);
  };
#pragma unroll
  for (int i = 0; i < kPartsAhead; i++) {
    if (begin + i * kJoined < kSplits) {
      add(begin + i * kJoined, ahead[i]);
    }
  }
  for (int split = begin + kPartsAhead * kJoined; split < kSplits; split += kJoined) {
    add(split, parts[(long long)split * channels]);
  }
  totals[begin] = total, outs[begin][channel] = out; // the same total from all of a part's threads
  __syncthreads();
  if (begin == 0) {
#pragma unroll
    for (int i = 1; i < kJoined; i++) {
      total += totals[i], out += outs[i][channel];
    }
    y[head * channels + channel] = narrow<T>(total > 0 ? out / total : 0.0f);
  }
}

#define ENTRY(T)                                                                                                       \
  extern "C" __global__ void __launch_bounds__(kJoined * kMostChannels) attend_join_##T(const float *parts, const float *weights, T *y) {  \
    join<T>(parts, weights, y);                                                                                        \
  }

#if defined(TYPE_BF16)
ENTRY(bf16)
#else
ENTRY(f32)
#endif
