// What a segment of time leaves behind by itself, so that segments can run in parallel. Between two segments the state h
// obeys h_end = exp(A·ΣΔ)·h_begin + carry, and the gradient g of the state g_begin = exp(A·ΣΔ)·g_end + carry.
//
// Entries, for D in bf16, f16, f32 and S in 16, 32, 64, 128, 256, for N ≤ S:
//   scan_carry_forward_D_nS    scan_carry_backward_D_nS
//
// Arguments of forward:  u, δ [B,T,I], A f32 [N,I], B (rows of kRowB), bias f32 [I], marks i32 [B,T];
//                        then carry f32 [G,B,N,I], elapsed f32 [G,B,I] = ΣΔ. Of the last segment neither is written.
// Arguments of backward: dout, δ [B,T,I], z (rows of kRowZ), A f32 [N,I], C (rows of kRowC), bias f32 [I], marks i32 [B,T];
//                        then carry f32 [G,B,N,I], elapsed f32 [G,B,I]. Of the first segment neither is written.
//
// Launch as scan_forward, by this text's own kLaunch constants.
#include "scan.cuh"

constexpr int kPadded = PADDED;                                  // the number of states that the kernel has room for
constexpr int kGroups = kPadded <= 32 ? 4 : kPadded == 64 ? 2 : 1; // groups of 16 channels, one warp each
constexpr int kWarpStates = kPadded < 32 ? kPadded : 32;         // and each of them for so many states
constexpr int kWidth = kWarpStates / 4;                          // states of a lane, of two channels
constexpr int kThreads = 32 * kGroups * (kPadded / kWarpStates);
constexpr int kChannels = 16 * kGroups;
constexpr int kBlocks = kPadded <= 32 ? 5 : kPadded == 64 ? 3 : 1; // on a multiprocessor, to share its registers

typedef Share<kThreads, kChannels, 8> Mine;

struct Shared {
  float2 step[kTile][kChannels]; // Δ for the decay; forward Δ·u, backward dout·silu(z); two channels at place(channel)
  float bc[kTile][kPadded];      // forward B, backward C
  float bias[kChannels];
};

LAUNCH(kThreads, kChannels, sizeof(Shared));

// What the entries are given: x is u or dout.
struct Arguments {
  const Element *x, *delta, *z;
  const float* a;
  const Element* bc;
  const float* bias;
  const int* marks;
  float *carry, *elapsed;
};

// Raw is a thread's share of a tile as it was read.
struct Raw {
  Mine::Elements x[Mine::kPasses], delta[Mine::kPasses], z[Mine::kPasses];
  int mark[Mine::kPasses];
};

template <bool kBackward, bool kWhole>
static __device__ __forceinline__ void load(Raw& raw, const Mine& mine, const Arguments& arg, Index t0, int live) {
  const Element *x = arg.x + t0 * kInner, *delta = arg.delta + t0 * kInner, *z = arg.z + t0 * kRowZ + kOffsetZ;
  const int* marks = arg.marks + t0;
#pragma unroll
  for (int p = 0; p < Mine::kPasses; p++) {
    int t = smaller(mine.row + p * Mine::kRows, live - 1);
    mine.read<kWhole>(raw.x[p], x, t * kInner);
    mine.read<kWhole>(raw.delta[p], delta, t * kInner);
    if (kBackward) mine.read<kWhole>(raw.z[p], z, t * kRowZ);
    raw.mark[p] = marks[t];
    if (mine.row + p * Mine::kRows >= live) raw.mark[p] = kMarkPadding, raw.x[p].clear();
  }
}

typedef States<kThreads, kPadded, 1> Staged;

template <bool kBackward>
static __device__ __forceinline__ void fetch(Raw& raw, Staged& states, const Mine& mine, const Arguments& arg, Index rows,
                                             int t0) {
  if (mine.whole) load<kBackward, true>(raw, mine, arg, rows + t0, kTime - t0);
  else load<kBackward, false>(raw, mine, arg, rows + t0, kTime - t0);
  const int row = kBackward ? kRowC : kRowB;
  states.load(arg.bc, row, arg.bc, row, t0);
}

template <bool kBackward>
static __device__ __forceinline__ void stage(Shared& shared, const Raw& raw, const Mine& mine) {
#pragma unroll
  for (int p = 0; p < Mine::kPasses; p++) {
    int t = mine.row + p * Mine::kRows;
#pragma unroll
    for (int e = 0; e < Mine::kVector; e += 2) {
      float decay[2], input[2];
#pragma unroll
      for (int c = 0; c < 2; c++) {
        float size = softplus(unless_padding(raw.mark[p], raw.delta[p].at(e + c) + shared.bias[mine.channel + e + c]));
        decay[c] = raw.mark[p] == kMarkStart ? kForget : size;
        float z = kBackward ? raw.z[p].at(e + c) : 0.0f;
        input[c] = raw.x[p].at(e + c) * (kBackward ? z * sigmoid(z) : size);
      }
      if (mine.active)
        *reinterpret_cast<float4*>(&shared.step[t][place(mine.channel + e)]) =
            make_float4(decay[0], input[0], decay[1], input[1]);
    }
  }
}

template <bool kBackward>
static __device__ __forceinline__ void scan_carry(Arguments arg) {
  extern __shared__ float4 dynamic[];
  Shared& shared = *reinterpret_cast<Shared*>(dynamic);
  const int batch = blockIdx.y, segment = blockIdx.z;
  if (segment == (kBackward ? 0 : kSegments - 1)) return;
  const Mine mine(blockIdx.x);
  const Index rows = Index(batch) * kTime;
  arg.bc += kBackward ? rows * kRowC + kOffsetC : rows * kRowB + kOffsetB;
  for (int e = threadIdx.x; e < kChannels; e += kThreads)
    shared.bias[e] = arg.bias[smaller(int(blockIdx.x) * kChannels + e, kInner - 1)];

  const int lane = threadIdx.x % 32, warp = threadIdx.x / 32, part = lane % 4;
  const int channel = warp % kGroups * 16 + lane / 4, n0 = warp / kGroups * kWarpStates + 4 * part;
  const int place0 = place(channel), place1 = place(channel + 8);
  const int i0 = int(blockIdx.x) * kChannels + channel;
  auto state_of = [&](int s) { return n0 + s / 4 * 16 + s % 4; };
  float rate[2][kWidth], state[2][kWidth], span[2] = {};
#pragma unroll
  for (int p = 0; p < 2; p++)
#pragma unroll
    for (int s = 0; s < kWidth; s++) {
      const bool live = i0 + 8 * p < kInner && state_of(s) < kStates;
      rate[p][s] = live ? arg.a[Index(state_of(s)) * kInner + i0 + 8 * p] * kLog2E : 0.0f;
      state[p][s] = 0.0f;
    }
  const int from = segment * kSegmentTiles, count = smaller(kSegmentTiles, tiles() - from);
  Raw raw;
  Staged states;
  fetch<kBackward>(raw, states, mine, arg, rows, (kBackward ? from + count - 1 : from) * kTile);
  __syncthreads();
  for (int index = 0; index < count; index++) {
    stage<kBackward>(shared, raw, mine);
    states.store(&shared.bc[0][0]);
    __syncthreads();
    if (index + 1 < count) // it arrives during the walk
      fetch<kBackward>(raw, states, mine, arg, rows, (kBackward ? from + count - 2 - index : from + index + 1) * kTile);
#pragma unroll 4
    for (int j = 0; j < kTile; j++) {
      const int t = kBackward ? kTile - 1 - j : j;
      const float2 step[2] = {shared.step[t][place0], shared.step[t][place1]};
#pragma unroll
      for (int p = 0; p < 2; p++) span[p] += step[p].x;
#pragma unroll
      for (int s = 0; s < kWidth; s += 4) {
        float x[4];
        load4(x, &shared.bc[t][n0 + 4 * s]);
#pragma unroll
        for (int p = 0; p < 2; p++)
#pragma unroll
          for (int k = 0; k < 4; k++) {
            float decay = exp2_fast(step[p].x * rate[p][s + k]);
            if (kBackward) state[p][s + k] = decay * fmaf(step[p].y, x[k], state[p][s + k]);
            else state[p][s + k] = fmaf(decay, state[p][s + k], step[p].y * x[k]);
          }
      }
    }
    __syncthreads();
  }
  const Index plane = Index(segment) * kBatch + batch;
#pragma unroll
  for (int p = 0; p < 2; p++) {
    const int i = i0 + 8 * p;
    if (i >= kInner) continue;
    if (n0 == 0) arg.elapsed[plane * kInner + i] = span[p];
#pragma unroll
    for (int s = 0; s < kWidth; s++)
      if (state_of(s) < kStates) arg.carry[(plane * kStates + state_of(s)) * kInner + i] = state[p][s];
  }
}

extern "C" __global__ void __launch_bounds__(kThreads, kBlocks)
ENTRY(scan_carry_forward, PADDED)(const Element* u, const Element* delta, const float* a, const Element* b, const float* bias,
                                  const int* marks, float* carry, float* elapsed) {
  scan_carry<false>({u, delta, u, a, b, bias, marks, carry, elapsed});
}

extern "C" __global__ void __launch_bounds__(kThreads, kBlocks)
ENTRY(scan_carry_backward, PADDED)(const Element* dout, const Element* delta, const Element* z, const float* a, const Element* c,
                                   const float* bias, const int* marks, float* carry, float* elapsed) {
  scan_carry<true>({dout, delta, z, a, c, bias, marks, carry, elapsed});
}
