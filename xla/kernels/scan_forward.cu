// The forward pass of the selective scan. Definition: ../scan.go. Channels are the last axis; all arithmetic is float32.
//
//   Δ_t = softplus(δ_t + bias)      h_t = exp(Δ_t·A)·h_{t-1} + Δ_t·u_t·B_t      out_t = (Σ_n C_t·h_t + D·u_t)·silu(z_t)
//
// Entries, for D in bf16, f16, f32 (u, δ, z, B, C, out) and S in 16, 32, 64, 128, 256, for N ≤ S:
//   scan_forward_D_nS
//
// Arguments: u [B,T,I], δ [B,T,I], z (rows of kRowZ elements, I of them from kOffsetZ on), A f32 [N,I], B and C (rows of
//            kRowB and kRowC elements, N of them from kOffsetB and kOffsetC on), D f32 [I], bias f32 [I],
//            start f32 [B,N,I], marks i32 [B,T], carry f32 [G,B,N,I], elapsed f32 [G,B,I];
//            then out [B,T,I], last f32 [B,N,I], checkpoints f32 [B,K,N,I], the state before tokens 0, 32, 64, …
// K = ceil(T/32) tiles. Time is cut into G = kSegments pieces of kSegmentTiles tiles that run in parallel. With G > 1
// carry and elapsed come from scan_carry; with G = 1 they are not read: pass any buffer.
//
// Launch: block (threads,1,1), grid (ceil(I / channels), B, G). Threads, channels and the bytes of dynamic shared memory
// are the kLaunch constants in the text.
//
// A warp has 16 channels and 16 or 32 states of each: a lane has two channels and 4 or 8 states of both. A block stages a
// tile of 32 tokens (Δ, Δ·u, B and C, once for all its threads), walks it with the states in registers, and gates the
// result. The sums over states run on the tensor cores.
#include "scan.cuh"

constexpr int kPadded = PADDED;                                    // the number of states that the kernel has room for
constexpr int kGroups = kPadded <= 32 ? 4 : kPadded == 64 ? 2 : 1; // groups of 16 channels, one warp each
constexpr int kWarpStates = kPadded < 32 ? kPadded : 32;
constexpr int kStateTiles = kPadded / kWarpStates;                 // and each of them for so many states
constexpr int kWidth = kWarpStates / 4;                            // states of a lane
constexpr int kThreads = 32 * kGroups * kStateTiles;
constexpr int kChannels = 16 * kGroups;
constexpr int kBlocks = kPadded == 16 ? 4 : kPadded <= 64 ? 3 : 1; // on a multiprocessor: more would spill registers
constexpr int kOutRow = kChannels + 8;                             // padded: lanes write four tokens into different banks
constexpr int kSteps = 4;                                          // tokens between two exchanges of sums

// The tensor cores drop the low 13 bits of what they add up. In bf16 that is below the rounding of the result, but always toward
// zero: over numbers of all magnitudes 2^-11·(1/(2·ln 2)) is lost, which this factor restores.
// Exact sums add up in float32 first and give the dropped bits to the tensor cores as well.
#if defined(TYPE_BF16)
constexpr bool kExactSums = false;
#else
constexpr bool kExactSums = true;
#endif
constexpr float kTruncation = kExactSums ? 1.0f : 1.000352f;

typedef Share<kThreads, kChannels, 8> Mine;

struct Shared {
  float2 step[kTile][kChannels]; // Δ for the decay, Δ·u; two channels at place(channel)
  float bc[2][kTile][kPadded];
  float y[kStateTiles][kTile][kOutRow];
  float bias[kChannels], skip[kChannels];
  Mine::Elements u[Mine::kPasses][kThreads], z[Mine::kPasses][kThreads]; // each thread's own
};

LAUNCH(kThreads, kChannels, sizeof(Shared));

struct Arguments {
  const Element *u, *delta, *z, *b, *c;
  const int* marks;
  Element* out;
};

// Raw is a thread's share of a tile as it was read.
struct Raw {
  Mine::Elements u[Mine::kPasses], delta[Mine::kPasses], z[Mine::kPasses];
  int mark[Mine::kPasses];
};

template <bool kWhole>
static __device__ __forceinline__ void load(Raw& raw, const Mine& mine, const Arguments& arg, int t0) {
  const Element *u = arg.u + Index(t0) * kInner, *delta = arg.delta + Index(t0) * kInner, *z = arg.z + Index(t0) * kRowZ;
  const int* marks = arg.marks + t0;
#pragma unroll
  for (int p = 0; p < Mine::kPasses; p++) {
    int t = smaller(mine.row + p * Mine::kRows, kTime - 1 - t0);
    mine.read<kWhole>(raw.u[p], u, t * kInner);
    mine.read<kWhole>(raw.delta[p], delta, t * kInner);
    mine.read<kWhole>(raw.z[p], z, t * kRowZ);
    raw.mark[p] = mine.row + p * Mine::kRows < kTime - t0 ? marks[t] : kMarkPadding;
  }
}

typedef States<kThreads, kPadded> Staged;

static __device__ __forceinline__ void fetch(Raw& raw, Staged& states, const Mine& mine, const Arguments& arg, int t0) {
  if (mine.whole) load<true>(raw, mine, arg, t0);
  else load<false>(raw, mine, arg, t0);
  states.load(arg.b, kRowB, arg.c, kRowC, t0);
}

static __device__ __forceinline__ void stage(Shared& shared, const Raw& raw, const Mine& mine) {
#pragma unroll
  for (int p = 0; p < Mine::kPasses; p++) {
    int t = mine.row + p * Mine::kRows;
    raw.u[p].write(&shared.u[p][threadIdx.x]);
    raw.z[p].write(&shared.z[p][threadIdx.x]);
#pragma unroll
    for (int e = 0; e < Mine::kVector; e += 2) {
      float size[2], decay[2];
#pragma unroll
      for (int c = 0; c < 2; c++) {
        size[c] = softplus(unless_padding(raw.mark[p], raw.delta[p].at(e + c) + shared.bias[mine.channel + e + c]));
        decay[c] = raw.mark[p] == kMarkStart ? kForget : size[c];
      }
      if (mine.active)
        *reinterpret_cast<float4*>(&shared.step[t][place(mine.channel + e)]) =
            make_float4(decay[0], size[0] * raw.u[p].at(e), decay[1], size[1] * raw.u[p].at(e + 1));
    }
  }
}

template <bool kWhole>
static __device__ __forceinline__ void gate(const Shared& shared, const Mine& mine, const Arguments& arg, int t0) {
  Element* out = arg.out + Index(t0) * kInner;
#pragma unroll
  for (int p = 0; p < Mine::kPasses; p++) {
    int t = mine.row + p * Mine::kRows;
    Mine::Elements u, z, result;
    u.read(&shared.u[p][threadIdx.x]);
    z.read(&shared.z[p][threadIdx.x]);
#pragma unroll
    for (int e = 0; e < Mine::kVector; e += 2) {
      float value[2];
#pragma unroll
      for (int c = 0; c < 2; c++) {
        int channel = mine.channel + e + c;
        float y = shared.y[0][t][channel];
#pragma unroll
        for (int tile = 1; tile < kStateTiles; tile++) y += shared.y[tile][t][channel];
        value[c] = fmaf(shared.skip[channel], u.at(e + c), y * kTruncation) * (z.at(e + c) * sigmoid(z.at(e + c)));
      }
      result.put(e, value[0], value[1]);
    }
    if (mine.active && t < kTime - t0) mine.write<kWhole>(result, out, t * kInner);
  }
}

// add_states adds a lane's states, weighted by C, over the four lanes that share its two channels: sum[0] and sum[2] are the
// channels' sums, in all four lanes.
static __device__ __forceinline__ void add_states(float (&sum)[4], const float (&h)[2][kWidth], const float (&c)[kWidth]) {
#pragma unroll
  for (int k = 0; k < 4; k++) sum[k] = 0.0f;
  if (kExactSums) {
    float part[4];
#pragma unroll
    for (int p = 0; p < 2; p++) {
      float y = 0.0f;
#pragma unroll
      for (int s = 0; s < kWidth; s++) y = fmaf(c[s], h[p][s], y);
      part[p] = y;
      part[2 + p] = y - __uint_as_float(__float_as_uint(y) & 0xffffe000u);
    }
    multiply_tf32(sum, part, 1.0f, 1.0f);
    return;
  }
#pragma unroll
  for (int s = 0; s < kWidth; s += 2) {
    const float a[4] = {h[0][s], h[1][s], h[0][s + 1], h[1][s + 1]};
    multiply_tf32(sum, a, c[s], c[s + 1]);
  }
}

extern "C" __global__ void __launch_bounds__(kThreads, kBlocks)
ENTRY(scan_forward, PADDED)(const Element* u, const Element* delta, const Element* z, const float* a, const Element* b,
                            const Element* c, const float* d, const float* bias, const float* start, const int* marks,
                            const float* carry, const float* elapsed, Element* out, float* last, float* checkpoints) {
  extern __shared__ float4 dynamic[];
  Shared& shared = *reinterpret_cast<Shared*>(dynamic);
  const int batch = blockIdx.y, segment = blockIdx.z;
  const Mine mine(blockIdx.x);
  const Index rows = Index(batch) * kTime;
  const Arguments arg = {u + rows * kInner, delta + rows * kInner, z + rows * kRowZ + kOffsetZ,
                         b + rows * kRowB + kOffsetB, c + rows * kRowC + kOffsetC, marks + rows, out + rows * kInner};
  for (int e = threadIdx.x; e < kChannels; e += kThreads) {
    int i = smaller(int(blockIdx.x) * kChannels + e, kInner - 1);
    shared.bias[e] = bias[i];
    shared.skip[e] = d[i];
  }

  // This thread's channels, 8 apart, and states: four neighbours, and again 16 further on.
  const int lane = threadIdx.x % 32, warp = threadIdx.x / 32, part = lane % 4;
  const int channel = warp % kGroups * 16 + lane / 4, n0 = warp / kGroups * kWarpStates + 4 * part;
  const int place0 = place(channel), place1 = place(channel + 8);
  const int i0 = int(blockIdx.x) * kChannels + channel;
  const bool whole = mine.whole && kStates == kPadded;
  auto state = [&](int s) { return n0 + s / 4 * 16 + s % 4; };
  auto live = [&](int p, int s) { return whole || (i0 + 8 * p < kInner && state(s) < kStates); };
  float rate[2][kWidth], h[2][kWidth];
#pragma unroll
  for (int p = 0; p < 2; p++)
#pragma unroll
    for (int s = 0; s < kWidth; s++) {
      rate[p][s] = live(p, s) ? a[Index(state(s)) * kInner + i0 + 8 * p] * kLog2E : 0.0f;
      h[p][s] = live(p, s) ? start[(Index(batch) * kStates + state(s)) * kInner + i0 + 8 * p] : 0.0f;
    }
  for (int earlier = 0; earlier < segment; earlier++) {
    Index plane = Index(earlier) * kBatch + batch;
#pragma unroll
    for (int p = 0; p < 2; p++) {
      float span = elapsed[plane * kInner + smaller(i0 + 8 * p, kInner - 1)];
#pragma unroll
      for (int s = 0; s < kWidth; s++)
        if (live(p, s)) {
          float carried = carry[(plane * kStates + state(s)) * kInner + i0 + 8 * p];
          h[p][s] = fmaf(exp2_fast(rate[p][s] * span), h[p][s], carried);
        }
    }
  }
  const int from = segment * kSegmentTiles, to = smaller(from + kSegmentTiles, tiles());
  float* checkpoint = checkpoints + ((Index(batch) * tiles() + from) * kStates + n0) * kInner + i0;
  Raw raw;
  Staged states;
  __syncthreads();
  fetch(raw, states, mine, arg, from * kTile);
  for (int tile = from; tile < to; tile++) {
    const int t0 = tile * kTile;
    stage(shared, raw, mine);
    states.store(&shared.bc[0][0][0]);
    if (whole) {
#pragma unroll
      for (int s = 0; s < kWidth; s++)
#pragma unroll
        for (int p = 0; p < 2; p++) checkpoint[(s / 4 * 16 + s % 4) * kInner + 8 * p] = h[p][s];
    } else {
#pragma unroll
      for (int s = 0; s < kWidth; s++)
#pragma unroll
        for (int p = 0; p < 2; p++)
          if (live(p, s)) checkpoint[(s / 4 * 16 + s % 4) * kInner + 8 * p] = h[p][s];
    }
    checkpoint += Index(kStates) * kInner;
    __syncthreads();
    if (tile + 1 < to) fetch(raw, states, mine, arg, t0 + kTile); // it arrives during the walk
#pragma unroll 2
    for (int t = 0; t < kTile; t += kSteps) {
      float sum[kSteps][4];
#pragma unroll
      for (int j = 0; j < kSteps; j++) {
        const float2 step[2] = {shared.step[t + j][place0], shared.step[t + j][place1]};
        float b4[kWidth], c4[kWidth];
#pragma unroll
        for (int s = 0; s < kWidth; s += 4) {
          load4(reinterpret_cast<float(&)[4]>(b4[s]), &shared.bc[0][t + j][n0 + 4 * s]);
          load4(reinterpret_cast<float(&)[4]>(c4[s]), &shared.bc[1][t + j][n0 + 4 * s]);
        }
#pragma unroll
        for (int p = 0; p < 2; p++)
#pragma unroll
          for (int s = 0; s < kWidth; s++) h[p][s] = fmaf(exp2_fast(step[p].x * rate[p][s]), h[p][s], step[p].y * b4[s]);
        add_states(sum[j], h, c4);
      }
      // Each of the four lanes keeps one token.
#pragma unroll
      for (int p = 0; p < 2; p++) {
        float low = part & 1 ? sum[1][2 * p] : sum[0][2 * p], high = part & 1 ? sum[3][2 * p] : sum[2][2 * p];
        shared.y[warp / kGroups][t + part][channel + 8 * p] = part & 2 ? high : low;
      }
    }
    __syncthreads();
    if (mine.whole) gate<true>(shared, mine, arg, t0);
    else gate<false>(shared, mine, arg, t0);
  }
  if (segment == kSegments - 1)
#pragma unroll
    for (int p = 0; p < 2; p++)
#pragma unroll
      for (int s = 0; s < kWidth; s++)
        if (live(p, s)) last[(Index(batch) * kStates + state(s)) * kInner + i0 + 8 * p] = h[p][s];
}
