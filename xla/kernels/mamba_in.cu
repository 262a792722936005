// One token of many rows through the first half of the Mamba block, from the norm to the convolution, on the tensor cores:
//
//   a = x·W_aᵀ/rms(x)      z = x·W_zᵀ/rms(x)      u_i = silu(bias_i + Σ_w weight_w,i · a_i of the last W tokens)
//
// The window moves on by the new a. A row of length 0 has no token: its window stays as it is, and its u means nothing.
//
// Entries, for up to 32 and 64 rows a block:
//   mamba_in_r2, mamba_in_r4    x bf16 [B,K], W_a and W_z bf16 [I,K], weight f32 [W,I], bias f32 [I], window bf16 [B,W-1,I],
//                               length i32 [B];   then window (the buffer of the operand), u [B,I], z [B,I]
// Conditions: W of 2 … 8; I even; K a multiple of 32; I·K and B·K below 2^31.
//
// Launch: block (kLaunchThreads,1,1), grid (2·ceil(I / kLaunchColumns), ceil(B / rows), 1), dynamic shared memory kLaunchShared2
//         or kLaunchShared4. The first half of the blocks in x makes u, the other z.
//
// Constants: kBatch B, kDepth K, kInner I, kTaps W, kNorm whether there is a norm, kEpsilonBits its ε.
//
// A block has kLaunchColumns columns of one weight, so that one wave of blocks has them all. Its warps share out K in steps
// of 32, each with sums for all of the block's rows and columns, which are added up in the end: until then no warp waits for
// another, and each thread works on what it has copied into shared memory itself.
#include "functions.cuh"
#include "lanes.cuh"
#include "primitives.cuh"

extern "C" __constant__ int kBatch = 0x7A000001;
extern "C" __constant__ int kDepth = 0x7A000002;
extern "C" __constant__ int kInner = 0x7A000003;
extern "C" __constant__ int kTaps = 0x7A000004;
extern "C" __constant__ int kNorm = 0x7A000005;
extern "C" __constant__ int kEpsilonBits = 0x7A000006;

constexpr int kThreads = 256, kWarps = kThreads / 32, kMostTaps = 8;
constexpr int kTiles = 5, kColumns = 8 * kTiles; // of the tensor cores' eight columns
constexpr int kPairs = kColumns / 2, kFinishers = kThreads / kPairs;
constexpr int kStep = 32;                        // of K: eight numbers of each of the four lanes that share a row
constexpr int kStages = 3;                       // steps of a warp under way
template <int R> constexpr int kItems = 2 * R + kTiles; // vectors of a thread in a step
extern "C" __constant__ int kLaunchThreads = kThreads;
extern "C" __constant__ int kLaunchColumns = kColumns;
extern "C" __constant__ int kLaunchShared2 = kStages * kItems<2> * 16 * kThreads;
extern "C" __constant__ int kLaunchShared4 = kStages * kItems<4> * 16 * kThreads;

extern __shared__ uint4 dynamicShared[];

static __device__ __forceinline__ float squares(uint4 x, float sum) {
  float values[8];
  Lanes<bf16, 8>{x}.unpack(values);
#pragma unroll
  for (int i = 0; i < 8; i++) {
    sum = fmaf(values[i], values[i], sum);
  }
  return sum;
}

// Arguments are what is not multiplied.
struct Arguments {
  const float *weight, *bias;
  const int *length;
  bf16 *window, *u, *z;
};

// Taps are the convolution of two neighbouring columns, and Past what a thread needs of a row besides the new token. Both are
// asked for before the products are made.
struct Taps {
  float bias[2], weight[kMostTaps][2];

  __device__ __forceinline__ void ask(const Arguments &arg, int column) {
#pragma unroll
    for (int c = 0; c < 2; c++) {
      bias[c] = load_now(arg.bias + column + c);
#pragma unroll
      for (int w = 0; w < kMostTaps; w++) {
        weight[w][c] = w < kTaps ? load_now(arg.weight + w * kInner + column + c) : 0.0f;
      }
    }
  }
};

struct Past {
  Lanes<bf16, 2> seen[kMostTaps - 1];
  bool real;

  __device__ __forceinline__ void ask(const Arguments &arg, int row, int column) {
    const bf16 *window = arg.window + (long long)row * (kTaps - 1) * kInner + column;
#pragma unroll
    for (int w = 0; w < kMostTaps - 1; w++) {
      if (w < kTaps - 1) {
        seen[w] = {load_now(reinterpret_cast<const unsigned *>(window + (long long)w * kInner))};
      }
    }
    real = arg.length[row] > 0;
  }

  // convolve gives u of two neighbouring columns and moves the window on.
  __device__ __forceinline__ void convolve(const Arguments &arg, const Taps &taps, int row, int column, const float (&newest)[2]) const {
    const Lanes<bf16, 2> rounded = Lanes<bf16, 2>::pack(newest);
    float sum[2] = {taps.bias[0], taps.bias[1]};
#pragma unroll
    for (int w = 0; w < kMostTaps; w++) {
      if (w < kTaps) {
        float values[2];
        (w == kTaps - 1 ? rounded : seen[min(w, kMostTaps - 2)]).unpack(values);
        sum[0] = fmaf(taps.weight[w][0], values[0], sum[0]), sum[1] = fmaf(taps.weight[w][1], values[1], sum[1]);
      }
    }
    sum[0] *= sigmoid(sum[0]), sum[1] *= sigmoid(sum[1]);
    write<bf16, 2>(arg.u + (long long)row * kInner + column, sum);
    bf16 *window = arg.window + (long long)row * (kTaps - 1) * kInner + column;
#pragma unroll
    for (int w = 0; w < kMostTaps - 1; w++) {
      if (w < kTaps - 1 && real) {
        (w == kTaps - 2 ? rounded : seen[min(w + 1, kMostTaps - 2)]).store(window + (long long)w * kInner);
      }
    }
  }
};

// Sums are a warp's, over its share of K, of R·16 rows: products, and the rows' squares.
template <int R> struct Sums {
  float product[R][kTiles][4] = {};
  float square[2 * R] = {};

  __device__ __forceinline__ void add(const uint4 *copies) {
    uint4 w[kTiles];
#pragma unroll
    for (int j = 0; j < kTiles; j++) {
      w[j] = copies[(2 * R + j) * kThreads];
    }
#pragma unroll
    for (int t = 0; t < R; t++) { // any order of K will do that is the same for x and the weights
      const uint4 upper = copies[2 * t * kThreads], lower = copies[(2 * t + 1) * kThreads];
      square[2 * t] = squares(upper, square[2 * t]), square[2 * t + 1] = squares(lower, square[2 * t + 1]);
#pragma unroll
      for (int j = 0; j < kTiles; j++) {
        multiply_bf16(product[t][j], upper.x, lower.x, upper.y, lower.y, w[j].x, w[j].y);
      }
#pragma unroll
      for (int j = 0; j < kTiles; j++) {
        multiply_bf16(product[t][j], upper.z, lower.z, upper.w, lower.w, w[j].z, w[j].w);
      }
    }
  }
};

template <int R> __device__ __forceinline__ void run(const bf16 *x, const bf16 *wA, const bf16 *wZ, const Arguments &arg) {
  __shared__ float squareParts[kWarps][16 * R];
  const int warp = threadIdx.x / 32, group = threadIdx.x % 32 / 4, own = threadIdx.x % 4, half = gridDim.x / 2;
  const bool gates = blockIdx.x >= half;
  const int row0 = blockIdx.y * 16 * R, column0 = (blockIdx.x - (gates ? half : 0)) * kColumns, steps = kDepth / kStep;
  const bf16 *w = (gates ? wZ : wA) + own * 8;
  x += own * 8;
  int rows[2 * R], columns[kTiles]; // where they begin
#pragma unroll
  for (int t = 0; t < 2 * R; t++) {
    rows[t] = min(row0 + 8 * t + group, kBatch - 1) * kDepth;
  }
#pragma unroll
  for (int j = 0; j < kTiles; j++) {
    columns[j] = min(column0 + 8 * j + group, kInner - 1) * kDepth;
  }
  uint4 *copies = dynamicShared + threadIdx.x;
  const auto ask = [&](int step, int stage) {
    if (step < steps) {
      uint4 *to = copies + stage * kItems<R> * kThreads;
#pragma unroll
      for (int j = 0; j < kTiles; j++) {
        copy_async(to + (2 * R + j) * kThreads, w + columns[j] + step * kStep);
      }
#pragma unroll
      for (int t = 0; t < 2 * R; t++) {
        copy_async(to + t * kThreads, x + rows[t] + step * kStep);
      }
    }
    commit_copies(); // an empty group too, so that groups are counted alike to the end
  };

  Sums<R> sums;
#pragma unroll
  for (int s = 0; s < kStages - 1; s++) {
    ask(warp + s * kWarps, s);
  }
  // In the end a thread has two columns of every kFinishers-th row.
  const int pair = threadIdx.x % kPairs * 2, first = threadIdx.x / kPairs, column = min(column0 + pair, kInner - 2);
  const bool finishes = first < kFinishers && column0 + pair < kInner;
  constexpr int kMine = (16 * R + kFinishers - 1) / kFinishers;
  Taps taps;
  Past past[kMine];
  if (!gates && finishes) {
    taps.ask(arg, column);
#pragma unroll
    for (int i = 0; i < kMine; i++) {
      past[i].ask(arg, min(row0 + first + i * kFinishers, kBatch - 1), column);
    }
  }

  int stage = 0;
  for (int step = warp; step < steps; step += kWarps) {
    ask(step + (kStages - 1) * kWarps, stage == 0 ? kStages - 1 : stage - 1);
    wait_for_copies_but<kStages - 1>();
    sums.add(copies + stage * kItems<R> * kThreads);
    stage = stage == kStages - 1 ? 0 : stage + 1;
  }

  float *parts = reinterpret_cast<float *>(dynamicShared) + warp * 16 * R * kColumns;
  wait_for_copies();
  __syncthreads(); // the copies are no longer needed
#pragma unroll
  for (int t = 0; t < R; t++) {
#pragma unroll
    for (int lower = 0; lower < 2; lower++) {
      const int row = 16 * t + 8 * lower + group;
#pragma unroll
      for (int j = 0; j < kTiles; j++) {
        *reinterpret_cast<float2 *>(parts + row * kColumns + 8 * j + 2 * own) = make_float2(sums.product[t][j][2 * lower], sums.product[t][j][2 * lower + 1]);
      }
      const float square = sumLanes(sums.square[2 * t + lower], 4);
      if (own == 0) {
        squareParts[warp][row] = square;
      }
    }
  }
  __syncthreads();
  parts = reinterpret_cast<float *>(dynamicShared) + pair;
#pragma unroll
  for (int i = 0; i < kMine; i++) {
    const int local = first + i * kFinishers, row = row0 + local;
    if (finishes && local < 16 * R && row < kBatch) {
      float y[2] = {}, square = 0;
#pragma unroll
      for (int part = 0; part < kWarps; part++) {
        float more[2];
        read<f32, 2>(parts + (part * 16 * R + local) * kColumns, more);
        y[0] += more[0], y[1] += more[1], square += squareParts[part][local];
      }
      if (kNorm) {
        const float scale = rsqrtf(square / float(kDepth) + __int_as_float(kEpsilonBits));
        y[0] *= scale, y[1] *= scale;
      }
      if (gates) {
        write<bf16, 2>(arg.z + (long long)row * kInner + column, y);
      } else {
        past[i].convolve(arg, taps, row, column, y);
      }
    }
  }
}

#define ENTRY(R)                                                                                                       \
  extern "C" __global__ void __launch_bounds__(kThreads)                                                               \
      mamba_in_r##R(const bf16 *x, const bf16 *wA, const bf16 *wZ, const float *weight, const float *bias,             \
                    const bf16 *, const int *length, bf16 *window, bf16 *u, bf16 *z) {                                 \
    run<R>(x, wA, wZ, {weight, bias, length, window, u, z});                                                           \
  }

ENTRY(2)
ENTRY(4)
