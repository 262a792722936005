// The walk of scan_backward over a staged tile: forward once for the states, backward for their gradients, and the sums over
// states and over channels that it leaves in shared memory.
#pragma once

#include "scan_backward_tile.cuh"

// The tensor cores drop the low 13 bits of what they add up. In half precision that is below the rounding of dB and dC, but
// always toward zero: over numbers of all magnitudes 2^-11·(1/(2·ln 2)) of the sum is lost, which this factor restores.
// Exact sums, for f32, add the dropped bits in a second product instead.
constexpr bool kExactSums = sizeof(Element) == sizeof(float);
constexpr float kTruncation = kExactSums ? 1.0f : 1.000352f;

// Of four tokens y, s and d of each warp's states. After Shared there are two of these, taken in turn so that one barrier is
// enough, if a channel has several warps.
typedef float Sums[kStateTiles][3][kSteps][kChannels];

// Lane l of a warp has a pair of channels, told apart by bits 0, 1 and 4 of l, and four states, by bits 2 and 3. Of its pair
// the lane calls that channel its own, index 0, which bit 2 names, so that sums can be exchanged without selecting.
struct Lane {
  int channel[2], i[2]; // within the block, within a row
  int n0;
  bool whole; // all of this block's channels and states are there

  __device__ __forceinline__ Lane(bool whole_channels) {
    const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
    channel[0] = warp % kGroups * 16 + (lane % 4 + lane / 16 * 4) * 2 + lane / 4 % 2;
    channel[1] = channel[0] ^ 1;
    i[0] = int(blockIdx.x) * kChannels + channel[0];
    i[1] = int(blockIdx.x) * kChannels + channel[1];
    n0 = warp / kGroups * 16 + lane / 4 % 4 * 4;
    whole = whole_channels && kStates == kPadded;
  }

  __device__ __forceinline__ bool live(int p, int k) const { return whole || (i[p] < kInner && n0 + k < kStates); }
};

// What a lane carries from tile to tile, for its two channels × four states.
struct Carried {
  float rate[2][4];  // A·log2(e)
  float slope[2][4]; // the gradient of the state before the tokens walked so far
  float da[2][4];    // the gradient of A, so far
};

// restore reads the state before a tile.
static __device__ __forceinline__ void restore(float (&h)[2][4], const Lane& own, const float* checkpoints, int tile) {
  const float* from = checkpoints + ((Index(blockIdx.y) * tiles() + tile) * kStates + own.n0) * kInner + own.i[0];
  const int other = own.i[1] - own.i[0];
  if (own.whole) {
#pragma unroll
    for (int k = 0; k < 4; k++) h[0][k] = from[k * kInner], h[1][k] = from[k * kInner + other];
    return;
  }
#pragma unroll
  for (int k = 0; k < 4; k++) {
    h[0][k] = own.live(0, k) ? from[k * kInner] : 0.0f;
    h[1][k] = own.live(1, k) ? from[k * kInner + other] : 0.0f;
  }
}

// walk_forward keeps the states before every fourth token.
static __device__ __forceinline__ void walk_forward(Shared& shared, const Lane& own, const Carried& carried, float (&h)[2][4]) {
  const int place[2] = {home(own.channel[0]), home(own.channel[1])};
#pragma unroll 1
  for (int subtile = 0; subtile < kSubtiles; subtile++) {
#pragma unroll
    for (int p = 0; p < 2; p++) shared.slot[subtile][p][threadIdx.x] = make_float4(h[p][0], h[p][1], h[p][2], h[p][3]);
    if (subtile == kSubtiles - 1) break;
#pragma unroll
    for (int step = 0; step < kSteps; step++) {
      int t = subtile * kSteps + step;
      float b4[4];
      load4(b4, &shared.bc[0][t][own.n0]);
#pragma unroll
      for (int p = 0; p < 2; p++) {
        float2 now = *reinterpret_cast<const float2*>(&shared.step[t][place[p]]);
#pragma unroll
        for (int k = 0; k < 4; k++) h[p][k] = fmaf(exp2_fast(now.x * carried.rate[p][k]), h[p][k], now.y * b4[k]);
      }
    }
  }
}

// Rebuilt are four tokens' exp(Δ·A), and the states before each of them and after the last.
struct Rebuilt {
  float decay[kSteps][2][4], before[kSteps + 1][2][4];

  __device__ __forceinline__ Rebuilt(const Shared& shared, const Lane& own, const int (&place)[2], const Carried& carried,
                                     int subtile) {
#pragma unroll
    for (int p = 0; p < 2; p++) load4(before[0][p], &shared.slot[subtile][p][threadIdx.x].x);
#pragma unroll
    for (int step = 0; step < kSteps; step++) {
      int t = subtile * kSteps + step;
      float b4[4];
      load4(b4, &shared.bc[0][t][own.n0]);
#pragma unroll
      for (int p = 0; p < 2; p++) {
        float2 now = *reinterpret_cast<const float2*>(&shared.step[t][place[p]]);
#pragma unroll
        for (int k = 0; k < 4; k++) {
          decay[step][p][k] = exp2_fast(now.x * carried.rate[p][k]);
          before[step + 1][p][k] = fmaf(decay[step][p][k], before[step][p][k], now.y * b4[k]);
        }
      }
    }
  }
};

// add_channels adds this warp's x [states] over the lanes' channels into column slots 2·step and 2·step+1 of sum.
static __device__ __forceinline__ void add_channels(float (&sum)[4], const float (&x)[4], float first, float second) {
  const float a[4] = {x[0], x[2], x[1], x[3]}; // so that sum[k] belongs to state k
  multiply_tf32(sum, a, first, second);
  if (kExactSums) {
    float low[4];
#pragma unroll
    for (int k = 0; k < 4; k++) low[k] = a[k] - __uint_as_float(__float_as_uint(a[k]) & 0xffffe000u);
    multiply_tf32(sum, low, first, second);
  }
}

// back_token takes the gradient past one token. sums are y, s and d of the lane's own channel over half of the states.
static __device__ __forceinline__ void back_token(const Shared& shared, const Lane& own, const int (&place)[2],
                                                  const Rebuilt& rebuilt, Carried& carried, int t, int step, float (&sums)[3],
                                                  float (&db)[4], float (&dc)[4]) {
  float b4[4], c4[4], db4[4], dc4[4], sum[2][3] = {};
  load4(b4, &shared.bc[0][t][own.n0]);
  load4(c4, &shared.bc[1][t][own.n0]);
#pragma unroll
  for (int p = 0; p < 2; p++) {
    float4 now = *reinterpret_cast<const float4*>(&shared.step[t][place[p]]);
#pragma unroll
    for (int k = 0; k < 4; k++) {
      float h = rebuilt.before[step + 1][p][k];
      float g = fmaf(now.z, c4[k], carried.slope[p][k]);
      sum[p][0] = fmaf(c4[k], h, sum[p][0]);
      sum[p][1] = fmaf(b4[k], g, sum[p][1]);
      db4[k] = p == 0 ? g * now.y : fmaf(g, now.y, db4[k]);
      dc4[k] = p == 0 ? h * now.z : fmaf(h, now.z, dc4[k]);
      carried.slope[p][k] = rebuilt.decay[step][p][k] * g;
      float gp = carried.slope[p][k] * rebuilt.before[step][p][k];
      sum[p][2] = fmaf(gp, carried.rate[p][k], sum[p][2]);
      carried.da[p][k] = fmaf(gp, now.x, carried.da[p][k]);
    }
  }
  const float2 mask = shared.mask[step][threadIdx.x % 32 / 4];
  add_channels(db, db4, mask.x, mask.y);
  add_channels(dc, dc4, mask.x, mask.y);
#pragma unroll
  for (int k = 0; k < 3; k++) sums[k] = sum[0][k] + __shfl_xor_sync(kAllLanes, sum[1][k], 4);
}

// sum_states adds up what the warps of other states found for a subtile, and puts it where a single warp would.
static __device__ __forceinline__ void sum_states(Shared& shared, const Sums& sums, int subtile) {
  for (int e = threadIdx.x; e < kSteps * kChannels; e += kThreads) {
    int step = e / kChannels, channel = e % kChannels;
    float* to = &shared.step[subtile * kSteps + step][home(channel)].decay;
#pragma unroll
    for (int k = 0; k < 3; k++) {
      float sum = 0.0f;
#pragma unroll
      for (int tile = 0; tile < kStateTiles; tile++) sum += sums[tile][k][step][channel];
      to[k] = sum;
    }
  }
}

// walk_backward leaves y, s and d in the steps, and each thread's share of dB and dC in the slots.
static __device__ __forceinline__ void walk_backward(Shared& shared, Sums* sums_of, const Lane& own, Carried& carried) {
  const int place[2] = {home(own.channel[0]), home(own.channel[1])};
  const bool upper = threadIdx.x & 8;
#pragma unroll 1
  for (int subtile = kSubtiles - 1; subtile >= 0; subtile--) {
    const Rebuilt rebuilt(shared, own, place, carried, subtile);
    float db[4] = {}, dc[4] = {};
#pragma unroll
    for (int pair = kSteps - 2; pair >= 0; pair -= 2) {
      float sums[2][3], total[3]; // of two tokens, and of the one that this lane adds up
#pragma unroll
      for (int odd = 1; odd >= 0; odd--)
        back_token(shared, own, place, rebuilt, carried, subtile * kSteps + pair + odd, pair + odd, sums[odd], db, dc);
#pragma unroll
      for (int k = 0; k < 3; k++)
        total[k] = (upper ? sums[1][k] : sums[0][k]) + __shfl_xor_sync(kAllLanes, upper ? sums[0][k] : sums[1][k], 8);
      total[2] *= 1.0f / kLog2E; // rate is A·log2(e)
      const int t = subtile * kSteps + pair + upper;
      if (kStateTiles == 1) {
        __syncwarp(); // all have read these tokens
        *reinterpret_cast<float2*>(&shared.step[t][place[0]]) = make_float2(total[0], total[1]);
        shared.step[t][place[0]].q = total[2];
      } else {
        const int state_tile = threadIdx.x / 32 / kGroups;
#pragma unroll
        for (int k = 0; k < 3; k++) sums_of[subtile % 2][state_tile][k][t % kSteps][own.channel[0]] = total[k];
      }
    }
    shared.slot[subtile][0][threadIdx.x] = make_float4(db[0], db[1], db[2], db[3]);
    shared.slot[subtile][1][threadIdx.x] = make_float4(dc[0], dc[1], dc[2], dc[3]);
    if (kStateTiles > 1) {
      __syncthreads();
      sum_states(shared, sums_of[subtile % 2], subtile);
    }
  }
}

// sum_channels adds up what the warps left in the slots: dB and dC of this block's channels.
static __device__ __forceinline__ void sum_channels(const Shared& shared, float* partial, int t0) {
  // Of four tokens' dB or dC, lane 4·(n/4) + (t mod 4) of both halves of every warp holds states n … n+3.
  constexpr int kQuads = kTile * 2 * kPadded / 4;
  partial += Index(t0) * 2 * kStates;
#pragma unroll 2
  for (int e = threadIdx.x; e < kQuads; e += kThreads) {
    int lane = e % 16, rest = e / 16, which = rest % 2, tile = rest / 2 % kStateTiles, subtile = rest / 2 / kStateTiles;
    float4 sum = make_float4(0, 0, 0, 0);
#pragma unroll
    for (int group = 0; group < kGroups; group++)
#pragma unroll
      for (int half = 0; half < 2; half++) {
        float4 x = shared.slot[subtile][which][(tile * kGroups + group) * 32 + half * 16 + lane];
        sum.x += x.x, sum.y += x.y, sum.z += x.z, sum.w += x.w;
      }
    int t = subtile * kSteps + lane % 4, n = tile * 16 + lane / 4 * 4;
    if (t >= kTime - t0) continue;
    float* to = partial + ((t * 2 + which) * kStates + n);
    float value[4] = {sum.x * kTruncation, sum.y * kTruncation, sum.z * kTruncation, sum.w * kTruncation};
    if (kStates % 4 == 0) {
      if (n < kStates) *reinterpret_cast<float4*>(to) = make_float4(value[0], value[1], value[2], value[3]);
    } else {
#pragma unroll
      for (int k = 0; k < 4; k++)
        if (n + k < kStates) to[k] = value[k];
    }
  }
}
