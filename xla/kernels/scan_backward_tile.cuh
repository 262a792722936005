// A tile of scan_backward channel by channel: what a block keeps of it in shared memory, how that is staged before the walk
// over its tokens (scan_backward_walk.cuh), and how the walk's sums become du, dδ and dz.
#pragma once

#include "scan.cuh"

constexpr int kPadded = PADDED;                                    // the number of states that the kernel has room for
constexpr int kGroups = kPadded == 16 ? 4 : kPadded == 32 ? 2 : 1; // groups of 16 channels, one warp each
constexpr int kStateTiles = kPadded / 16;                          // 16 states, one warp each
constexpr int kThreads = 32 * kGroups * kStateTiles;
constexpr int kChannels = 16 * kGroups;
constexpr int kBlocks = kPadded <= 64 ? 3 : 1;                     // on a multiprocessor
constexpr int kSteps = 4;                                          // tokens rebuilt at once
constexpr int kSubtiles = kTile / kSteps;

typedef Share<kThreads, kChannels, 4> Mine;

// What a tile's tokens need, channel by channel. Once the walk back is past a token its sums over states take the first
// three places: y = Σ C·h, s = Σ g·B, d = Σ g·p·A.
struct Step {
  float decay;  // Δ, or kForget
  float input;  // Δ·u
  float q;      // dout·silu(z)
  float size;   // Δ
};

struct Shared {
  Step step[kTile][kChannels]; // at home(channel)
  float bc[2][kTile][kPadded];
  // The states before every fourth token. On the way back each thread puts its share of four tokens' dB and dC there.
  float4 slot[kSubtiles][2][kThreads];
  float bias[kChannels], skip[kChannels];
  // Of the sums over channels, states 0 and 2 of four tokens go to columns 2·step, and 1 and 3 to columns 2·step+1.
  float2 mask[kSteps][8];
};

struct Arguments {
  const Element *u, *delta, *z, *b, *c, *dout;
  const int* marks;
  Element *du, *ddelta, *dz;
};

// Raw is a thread's share of a tile as it was read.
struct Raw {
  Mine::Elements u[Mine::kPasses], delta[Mine::kPasses], z[Mine::kPasses], dout[Mine::kPasses];
  int mark[Mine::kPasses];
};

// home keeps threads that write the same channel of different vectors out of each other's banks.
static __device__ __forceinline__ int home(int channel) { return channel ^ (channel >> 3 & 7); }

static __device__ __forceinline__ void fill_constants(Shared& shared, const float* bias, const float* skip) {
  for (int e = threadIdx.x; e < kChannels; e += kThreads) {
    int i = smaller(int(blockIdx.x) * kChannels + e, kInner - 1);
    shared.bias[e] = bias[i];
    shared.skip[e] = skip[i];
  }
  if (threadIdx.x < kSteps * 8) {
    int step = threadIdx.x / 8, column = threadIdx.x % 8;
    shared.mask[step][column] = make_float2(column == 2 * step, column == 2 * step + 1);
  }
}

template <bool kWhole>
static __device__ __forceinline__ void load(Raw& raw, const Mine& mine, const Arguments& arg, int t0) {
  const Element *u = arg.u + Index(t0) * kInner, *delta = arg.delta + Index(t0) * kInner, *z = arg.z + Index(t0) * kRowZ,
                *dout = arg.dout + Index(t0) * kInner;
  const int* marks = arg.marks + t0;
  const int live = kTime - t0;
#pragma unroll
  for (int p = 0; p < Mine::kPasses; p++) {
    int t = smaller(mine.row + p * Mine::kRows, live - 1);
    mine.read<kWhole>(raw.u[p], u, t * kInner);
    mine.read<kWhole>(raw.delta[p], delta, t * kInner);
    mine.read<kWhole>(raw.z[p], z, t * kRowZ);
    mine.read<kWhole>(raw.dout[p], dout, t * kInner);
    raw.mark[p] = marks[t];
    if (mine.row + p * Mine::kRows >= live) raw.mark[p] = kMarkPadding, raw.dout[p].clear();
  }
}

static __device__ __forceinline__ void fetch(Raw& raw, const Mine& mine, const Arguments& arg, int t0) {
  if (mine.whole) load<true>(raw, mine, arg, t0);
  else load<false>(raw, mine, arg, t0);
}

static __device__ __forceinline__ void stage(Shared& shared, const Raw& raw, const Mine& mine) {
#pragma unroll
  for (int p = 0; p < Mine::kPasses; p++) {
    Step* row = shared.step[mine.row + p * Mine::kRows];
#pragma unroll
    for (int e = 0; e < Mine::kVector; e++) {
      int channel = mine.channel + e;
      float size = softplus(unless_padding(raw.mark[p], raw.delta[p].at(e) + shared.bias[channel]));
      float decay = raw.mark[p] == kMarkStart ? kForget : size;
      float z = raw.z[p].at(e), q = raw.dout[p].at(e) * (z * sigmoid(z));
      if (mine.active) *reinterpret_cast<float4*>(&row[home(channel)]) = make_float4(decay, size * raw.u[p].at(e), q, size);
    }
  }
}

// softplus_slope is σ(δ + bias), 0 at padding. Of Δ = softplus(δ + bias) it is 1 - exp(-Δ), which spares reading δ again, and near
// 0 loses bits that half precision does not have.
static __device__ __forceinline__ float softplus_slope(const Raw& raw, int p, int e, float bias, float size) {
  if (sizeof(Element) == 2) return 1.0f - exp2_fast(-kLog2E * size);
  return sigmoid(unless_padding(raw.mark[p], raw.delta[p].at(e) + bias));
}

// finish turns the sums over states into du, dδ and dz, and adds to dD and dbias of this thread's channels.
template <bool kWhole>
static __device__ __forceinline__ void finish(const Shared& shared, const Raw& raw, const Mine& mine, const Arguments& arg,
                                              int t0, float (&dskip)[Mine::kVector], float (&dbias)[Mine::kVector]) {
  Element *to_u = arg.du + Index(t0) * kInner, *to_delta = arg.ddelta + Index(t0) * kInner, *to_z = arg.dz + Index(t0) * kInner;
#pragma unroll
  for (int p = 0; p < Mine::kPasses; p++) {
    const int t = mine.row + p * Mine::kRows;
    Mine::Elements du, ddelta, dz;
#pragma unroll
    for (int e0 = 0; e0 < Mine::kVector; e0 += 2) {
      float to[3][2];
#pragma unroll
      for (int c = 0; c < 2; c++) {
        const int e = e0 + c, channel = mine.channel + e;
        float4 sums = *reinterpret_cast<const float4*>(&shared.step[t][home(channel)]); // y, s, d, Δ
        float u = raw.u[p].at(e), z = raw.z[p].at(e), dout = raw.dout[p].at(e), skip = shared.skip[channel];
        float open = sigmoid(z), pass = dout * open, q = pass * z;
        to[0][c] = fmaf(sums.w, sums.y, skip * q);
        to[1][c] = fmaf(u, sums.y, sums.z) * softplus_slope(raw, p, e, shared.bias[channel], sums.w);
        to[2][c] = fmaf(skip, u, sums.x) * fmaf(q, 1.0f - open, pass);
        dskip[e] = fmaf(q, u, dskip[e]);
        dbias[e] += to[1][c];
      }
      du.put(e0, to[0][0], to[0][1]);
      ddelta.put(e0, to[1][0], to[1][1]);
      dz.put(e0, to[2][0], to[2][1]);
    }
    if (mine.active && t < kTime - t0) {
      mine.write<kWhole>(du, to_u, t * kInner);
      mine.write<kWhole>(ddelta, to_delta, t * kInner);
      mine.write<kWhole>(dz, to_z, t * kInner);
    }
  }
}

// write_channels adds up dD and dbias over the threads that share channels.
static __device__ __forceinline__ void write_channels(Shared& shared, const Mine& mine, const float (&dskip)[Mine::kVector],
                                                      const float (&dbias)[Mine::kVector], float* partial) {
  typedef float Rows[2][Mine::kRows][kChannels];
  Rows& rows = *reinterpret_cast<Rows*>(&shared.slot[0][0][0]);
  static_assert(sizeof(Rows) <= sizeof(shared.slot), "there is room");
  __syncthreads(); // the slots of the last tile have been read
  if (mine.active)
#pragma unroll
    for (int e = 0; e < Mine::kVector; e++) {
      rows[0][mine.row][mine.channel + e] = dskip[e];
      rows[1][mine.row][mine.channel + e] = dbias[e];
    }
  __syncthreads();
  for (int e = threadIdx.x; e < 2 * kChannels; e += kThreads) {
    const int which = e / kChannels, channel = e % kChannels, i = int(blockIdx.x) * kChannels + channel;
    float sum = 0.0f;
    for (int row = 0; row < Mine::kRows; row++) sum += rows[which][row][channel];
    if (i < kInner) partial[which * kInner + i] = sum;
  }
}
