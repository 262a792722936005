// One token a row through the middle of the Mamba block, from the input projections to the gate, with window and state
// updated in place. Float32 arithmetic:
//
//   mix    u_i = silu(bias_i + Σ_w weight_w,i · x_i of the last W tokens)      the window moves on by the new token
//          p_s = Σ_{i in slice s} u_i·W_x,i        parts of the projection to (rank of Δ, B, C)
//   scan   (r, B, C) = Σ_s p_s      Δ_i = softplus(bias_i + r·W_dt,i)      a = -exp(a_log)
//          h_n,i = exp(Δ_i·a_i,n)·h_n,i + Δ_i·u_i·B_n      y_i = (Σ_n C_n·h_n,i + D_i·u_i)·silu(z_i)
//
// A row of length 0 has no token: its window and state stay as they are, and its y means nothing.
//
// Entries, for D in bf16, f16, f32; R in 1, 4, the rows of a block:
//   mamba_mix_D_rR        x [B,I], weight f32 [W,I], bias f32 [I], window [B,W-1,I], W_x [I,P], length i32 [B];
//                         then window (the buffer of the operand), u [B,I], p f32 [S,B,P]
//   mamba_scan_D_rR_nM    u [B,I], z [B,I], p f32 [S,B,P], W_dt [K,I], bias f32 [I], a_log f32 [I,N], d f32 [I], state f32 [B,N,I],
//                         length i32 [B];   then state (the buffer of the operand), y [B,I]
// with (R, M) of scan in (1, 16), (4, 16), (1, 64), (1, 256). Conditions: W of 2 … 8; N ≤ M; P = K + 2N a multiple of 16 bytes of
// D and at most 2048; kSlice ≤ 512 and S = ceil(I / kSlice).
//
// Launch: mix  block (kLaunchThreads,1,1), grid (S, ceil(B/R), 1), no dynamic shared memory;
//         scan block (kLaunchThreads,1,1), grid (ceil(I / 32), ceil(B/R), 1), dynamic shared memory 4·R·P bytes.
//
// Constants: kBatch B, kInner I, kTaps W, kSlice, kSlices S, kRank K, kStates N.
#include "functions.cuh"
#include "lanes.cuh"
#include "primitives.cuh"

extern "C" __constant__ int kBatch = 0x7A000001;
extern "C" __constant__ int kInner = 0x7A000002;
extern "C" __constant__ int kTaps = 0x7A000003;
extern "C" __constant__ int kSlice = 0x7A000004;
extern "C" __constant__ int kSlices = 0x7A000005;
extern "C" __constant__ int kRank = 0x7A000006;
extern "C" __constant__ int kStates = 0x7A000007;

constexpr int kThreads = 256, kMostTaps = 8, kMostSlice = 512;
extern "C" __constant__ int kLaunchThreads = kThreads;

// ---- mix ----

constexpr int kAhead = 8; // weights' vectors of a thread under way

// convolved is u of one channel of a row, and moves its window on.
template <typename T>
__device__ __forceinline__ float convolved(const T *x, const float *weight, const float *bias, T *window, int row, int channel, bool real) {
  const T newest = x[(long long)row * kInner + channel];
  T *past = window + (long long)row * (kTaps - 1) * kInner + channel;
  T seen[kMostTaps];
  float y = bias[channel];
#pragma unroll
  for (int w = 0; w < kMostTaps; w++) {
    if (w < kTaps) {
      seen[w] = w < kTaps - 1 ? past[(long long)w * kInner] : newest;
      y = fmaf(weight[w * kInner + channel], widen(seen[w]), y);
    }
  }
#pragma unroll
  for (int w = 1; w < kMostTaps; w++) {
    if (w < kTaps && real) {
      past[(long long)(w - 1) * kInner] = seen[w];
    }
  }
  return y * sigmoid(y);
}

template <typename T, int R>
__device__ __forceinline__ void mix(const T *x, const float *weight, const float *bias, const T *project, const int *length, T *window, T *u,
                                    float *parts) {
  constexpr int N = 16 / sizeof(T);
  __shared__ float mixed[R][kMostSlice];
  __shared__ float sums[R][kThreads * N]; // [channels of a pass][P]
  const int columns = kRank + 2 * kStates, vectors = columns / N, pass = kThreads / vectors;
  const int vector = threadIdx.x % vectors, first = threadIdx.x / vectors;
  const int begin = blockIdx.x * kSlice, count = min(kSlice, kInner - begin), row0 = blockIdx.y * R;
  const bool works = first < pass;
  const T *from = project + (long long)(begin + first) * columns + vector * N;
  const long long stride = (long long)pass * columns;

  Lanes<T, N> ahead[kAhead];
#pragma unroll
  for (int a = 0; a < kAhead; a++) {
    ahead[a] = Lanes<T, N>::zero();
    if (works && first + a * pass < count) {
      ahead[a].raw = load_once(from + a * stride);
    }
  }

  for (int item = threadIdx.x; item < R * count; item += kThreads) {
    const int r = item / count, c = item % count, row = row0 + r;
    if (row < kBatch) {
      const T value = narrow<T>(convolved(x, weight, bias, window, row, begin + c, length[row] > 0));
      u[(long long)row * kInner + begin + c] = value;
      mixed[r][c] = widen(value);
    } else {
      mixed[r][c] = 0;
    }
  }
  __syncthreads();

  float sum[R][N] = {};
  from += kAhead * stride;
  for (int c0 = first; works && c0 < count; c0 += kAhead * pass) {
#pragma unroll
    for (int a = 0; a < kAhead; a++) {
      const int c = c0 + a * pass;
      if (c < count) {
        float w[N];
        ahead[a].unpack(w);
        if (c + kAhead * pass < count) {
          ahead[a].raw = load_once(from);
        }
#pragma unroll
        for (int r = 0; r < R; r++) {
#pragma unroll
          for (int n = 0; n < N; n++) {
            sum[r][n] = fmaf(mixed[r][c], w[n], sum[r][n]);
          }
        }
      }
      from += stride;
    }
  }
#pragma unroll
  for (int r = 0; r < R; r++) {
    if (works) {
      write<f32, N>(&sums[r][first * columns + vector * N], sum[r]);
    }
  }
  __syncthreads();
  for (int item = threadIdx.x; item < R * columns; item += kThreads) {
    const int r = item / columns, p = item % columns;
    float total = 0;
    for (int group = 0; group < pass; group++) {
      total += sums[r][group * columns + p];
    }
    if (row0 + r < kBatch) {
      parts[((long long)blockIdx.x * kBatch + row0 + r) * columns + p] = total;
    }
  }
}

// ---- scan ----

constexpr int kChannels = 32, kParts = kThreads / kChannels; // a thread has every kParts-th state and rank of a channel
constexpr int kRanks = 16;                                   // weights of Δ that a thread loads at once

extern __shared__ float projected[]; // (r, B, C) of the block's rows, [R][P]

template <typename T, int R, int M>
__device__ __forceinline__ void scan(const T *u, const T *z, const float *parts, const T *weight, const float *bias, const float *aLog,
                                     const float *d, const int *length, float *state, T *y) {
  constexpr int most = M / kParts;
  __shared__ float shared[R][kParts][kChannels];
  const int c = threadIdx.x % kChannels, part = threadIdx.x / kChannels, row0 = blockIdx.y * R, columns = kRank + 2 * kStates;
  const bool inside = blockIdx.x * kChannels + c < kInner;
  const int channel = min(int(blockIdx.x) * kChannels + c, kInner - 1);

  T ranks[kRanks];
#pragma unroll
  for (int i = 0; i < kRanks; i++) {
    ranks[i] = weight[(long long)min(part + i * kParts, kRank - 1) * kInner + channel];
  }
  float h[R][most], a[most];
#pragma unroll
  for (int i = 0; i < most; i++) {
    const int n = min(part + i * kParts, kStates - 1);
#pragma unroll
    for (int r = 0; r < R; r++) {
      h[r][i] = state[((long long)min(row0 + r, kBatch - 1) * kStates + n) * kInner + channel];
    }
    a[i] = aLog[(long long)channel * kStates + n];
  }
  const float dtBias = bias[channel], skip = d[channel];
  float input[R];
#pragma unroll
  for (int r = 0; r < R; r++) {
    input[r] = widen(u[(long long)min(row0 + r, kBatch - 1) * kInner + channel]);
  }

  for (int item = threadIdx.x; item < R * columns; item += kThreads) {
    const int r = item / columns, p = item % columns;
    const float *from = parts + (long long)min(row0 + r, kBatch - 1) * columns + p;
    float total = 0;
#pragma unroll 8
    for (int s = 0; s < kSlices; s++) {
      total += from[(long long)s * kBatch * columns];
    }
    projected[item] = total;
  }
  __syncthreads();

  float delta[R] = {};
  for (int k0 = part; k0 < kRank; k0 += kRanks * kParts) {
#pragma unroll
    for (int i = 0; i < kRanks; i++) {
      const int k = k0 + i * kParts;
      if (k < kRank) {
        const float w = widen(k0 == part ? ranks[i] : weight[(long long)k * kInner + channel]);
#pragma unroll
        for (int r = 0; r < R; r++) {
          delta[r] = fmaf(projected[r * columns + k], w, delta[r]);
        }
      }
    }
  }
#pragma unroll
  for (int r = 0; r < R; r++) {
    shared[r][part][c] = delta[r];
  }
  __syncthreads();
#pragma unroll
  for (int r = 0; r < R; r++) {
    delta[r] = dtBias;
#pragma unroll
    for (int i = 0; i < kParts; i++) {
      delta[r] += shared[r][i][c];
    }
    delta[r] = softplus(delta[r]);
  }
  __syncthreads();

#pragma unroll
  for (int i = 0; i < most; i++) {
    a[i] = -kLog2E * exp2_fast(kLog2E * a[i]);
  }
#pragma unroll
  for (int r = 0; r < R; r++) {
    const int row = row0 + r;
    const bool real = inside && row < kBatch && length[row] > 0;
    const float *bN = projected + r * columns + kRank, *cN = bN + kStates;
    const float step = real ? delta[r] : 0.0f;
    float sum = 0;
#pragma unroll
    for (int i = 0; i < most; i++) {
      const int n = part + i * kParts;
      if (n < kStates) {
        const float next = fmaf(exp2_fast(step * a[i]), h[r][i], step * input[r] * bN[n]);
        sum = fmaf(cN[n], next, sum);
        if (real) {
          state[((long long)row * kStates + n) * kInner + channel] = next;
        }
      }
    }
    shared[r][part][c] = sum;
  }
  __syncthreads();
#pragma unroll
  for (int r = 0; r < R; r++) {
    if (part == r && inside && row0 + r < kBatch) {
      const long long at = (long long)(row0 + r) * kInner + channel;
      const float gate = widen(z[at]);
      float sum = skip * input[r];
#pragma unroll
      for (int i = 0; i < kParts; i++) {
        sum += shared[r][i][c];
      }
      y[at] = narrow<T>(sum * gate * sigmoid(gate));
    }
  }
}

#define MIX(T, R)                                                                                                      \
  extern "C" __global__ void __launch_bounds__(kThreads)                                                               \
      mamba_mix_##T##_r##R(const T *x, const float *weight, const float *bias, const T *, const T *project,            \
                           const int *length, T *window, T *u, float *parts) {                                        \
    mix<T, R>(x, weight, bias, project, length, window, u, parts);                                                     \
  }
#define SCAN(T, R, M)                                                                                                  \
  extern "C" __global__ void __launch_bounds__(kThreads)                                                               \
      mamba_scan_##T##_r##R##_n##M(const T *u, const T *z, const float *parts, const T *weight, const float *bias,     \
                                   const float *aLog, const float *d, const float *, const int *length, float *state, T *y) { \
    scan<T, R, M>(u, z, parts, weight, bias, aLog, d, length, state, y);                                               \
  }
#define ENTRIES(T) MIX(T, 1) MIX(T, 4) SCAN(T, 1, 16) SCAN(T, 4, 16) SCAN(T, 1, 64) SCAN(T, 1, 256)

#if defined(TYPE_BF16)
ENTRIES(bf16)
#elif defined(TYPE_F16)
ENTRIES(f16)
#else
ENTRIES(f32)
#endif
