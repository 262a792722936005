// The selective scan over one token a row, with the projection to Δ before it and the gate after it, the state updated in
// place. Float32 arithmetic, with (r, B, C) = p, a row's projection:
//
//   Δ_i = softplus(bias_i + r·W_i)      a = -exp(a_log)
//   h_n,i = exp(Δ_i·a_i,n)·h_n,i + Δ_i·u_i·B_n      y_i = (Σ_n C_n·h_n,i + D_i·u_i)·silu(z_i)
//
// A row of length 0 has no token: its state stays as it is, and its y means nothing.
//
// Entries, for D in bf16, f32:
//   mamba_scan_D_nM     u [B,I], z [B,I], p f32 [B,P], W [I,K], bias f32 [I], a_log f32 [I,N], d f32 [I], state f32 [B,N,I],
//                       length i32 [B];   then state (the buffer of the operand), y [B,I]
//   mamba_scan_rows_D   the same for many rows of at most 16 states, a multiple of 4
// with P = K + 2N and M in 16, 64, 256. Conditions: N ≤ M; K a multiple of 16 bytes of D.
//
// Launch: scan block (kLaunchThreads,1,1), grid (ceil(I / 32), B, 1), dynamic shared memory 4·P bytes;
//         scan_rows block (kLaunchThreads,1,1), grid (ceil(I / 32), ceil(B / 8), 1), dynamic shared memory 32·P + 33·K·(bytes of D).
//
// Constants: kBatch B, kInner I, kRank K, kStates N.
#include "functions.cuh"
#include "lanes.cuh"
#include "primitives.cuh"

extern "C" __constant__ int kBatch = 0x7A000001;
extern "C" __constant__ int kInner = 0x7A000002;
extern "C" __constant__ int kRank = 0x7A000003;
extern "C" __constant__ int kStates = 0x7A000004;

constexpr int kThreads = 256;
extern "C" __constant__ int kLaunchThreads = kThreads;

extern __shared__ uint4 dynamicShared[];

// ---- scan of a row: kParts threads share a channel ----

constexpr int kChannels = 32, kParts = kThreads / kChannels;

template <typename T, int M>
__device__ __forceinline__ void scan(const T *u, const T *z, const float *p, const T *weight, const float *bias, const float *aLog,
                                     const float *d, const int *length, float *state, T *y) {
  constexpr int most = M / kParts, N = 16 / sizeof(T);
  __shared__ float shared[kParts][kChannels];
  float *projected = reinterpret_cast<float *>(dynamicShared); // (r, B, C) of the row
  const int c = threadIdx.x % kChannels, part = threadIdx.x / kChannels, row = blockIdx.y, columns = kRank + 2 * kStates;
  const bool inside = blockIdx.x * kChannels + c < kInner;
  const int channel = min(int(blockIdx.x) * kChannels + c, kInner - 1);
  const bool real = inside && length[row] > 0;

  float h[most], a[most];
  float *own = state + (long long)row * kStates * kInner + channel;
#pragma unroll
  for (int i = 0; i < most; i++) {
    const int n = min(part + i * kParts, kStates - 1);
    h[i] = own[(long long)n * kInner];
    a[i] = aLog[(long long)channel * kStates + n];
  }
  const long long at = (long long)row * kInner + channel;
  const float input = widen(u[at]), gate = widen(z[at]), dtBias = bias[channel], skip = d[channel];
  for (int i = threadIdx.x; i < columns; i += kThreads) {
    projected[i] = p[(long long)row * columns + i];
  }
  __syncthreads();

  float raw = 0;
  for (int k = part * N; k < kRank; k += kParts * N) {
    float w[N];
    read<T, N>(weight + (long long)channel * kRank + k, w);
#pragma unroll
    for (int n = 0; n < N; n++) {
      raw = fmaf(projected[k + n], w[n], raw);
    }
  }
  shared[part][c] = raw;
  __syncthreads();
  float delta = dtBias;
#pragma unroll
  for (int i = 0; i < kParts; i++) {
    delta += shared[i][c];
  }
  delta = softplus(delta);
  __syncthreads();

  const float *bN = projected + kRank, *cN = bN + kStates;
  float sum = 0;
#pragma unroll
  for (int i = 0; i < most; i++) {
    const int n = part + i * kParts;
    if (n < kStates) {
      const float decay = exp2_fast(-kLog2E * delta * exp2_fast(kLog2E * a[i]));
      const float next = fmaf(decay, h[i], delta * input * bN[n]);
      sum = fmaf(cN[n], next, sum);
      if (real) {
        own[(long long)n * kInner] = next;
      }
    }
  }
  shared[part][c] = sum;
  __syncthreads();
  if (part == 0 && inside) {
    float out = skip * input;
#pragma unroll
    for (int i = 0; i < kParts; i++) {
      out += shared[i][c];
    }
    y[at] = narrow<T>(out * gate * sigmoid(gate));
  }
}

// ---- scan of many rows: a thread has all states of a channel, a warp a row, and the block's rows share their weights ----

constexpr int kRowsOfBlock = kThreads / 32, kMostStates = 16;
constexpr int kWeightRow = kChannels + 1; // so that a channel's vectors lie in different banks

template <typename T>
__device__ __forceinline__ void scanRows(const T *u, const T *z, const float *p, const T *weight, const float *bias, const float *aLog,
                                         const float *d, const int *length, float *state, T *y) {
  constexpr int N = 16 / sizeof(T);
  __shared__ float a[kMostStates][kChannels + 1];
  const int columns = kRank + 2 * kStates, c = threadIdx.x % 32, local = threadIdx.x / 32, row = blockIdx.y * kRowsOfBlock + local;
  uint4 *weights = dynamicShared; // [K in vectors][kWeightRow]
  float *projected = reinterpret_cast<float *>(dynamicShared + kRank / N * kWeightRow) + local * columns;
  const bool inside = row < kBatch && blockIdx.x * kChannels + c < kInner;
  const int channel = min(int(blockIdx.x) * kChannels + c, kInner - 1);
  const long long at = (long long)min(row, kBatch - 1) * kInner + channel;
  float *own = state + (long long)min(row, kBatch - 1) * kStates * kInner + channel;

  // What all wait for is asked for first, then the state, which is the most. Eight threads share a channel's weights.
  const int from = threadIdx.x / 8, fellow = threadIdx.x % 8, other = min(int(blockIdx.x) * kChannels + from, kInner - 1);
#pragma unroll 1
  for (int v = fellow; v < kRank / N; v += 8) {
    copy_async(weights + v * kWeightRow + from, weight + (long long)other * kRank + v * N);
  }
#pragma unroll 1
  for (int i = c; i < columns / 4; i += 32) {
    copy_async(projected + 4 * i, p + (long long)min(row, kBatch - 1) * columns + 4 * i);
  }
  float logs[kMostStates / 8], h[kMostStates];
#pragma unroll
  for (int i = 0; i < kMostStates / 8; i++) {
    logs[i] = load_now(aLog + (long long)other * kStates + min(fellow + 8 * i, kStates - 1));
  }
#pragma unroll
  for (int n = 0; n < kMostStates; n++) {
    h[n] = load_now(own + (long long)min(n, kStates - 1) * kInner);
  }
#pragma unroll
  for (int i = 0; i < kMostStates / 8; i++) {
    a[fellow + 8 * i][from] = -kLog2E * exp2_fast(kLog2E * logs[i]);
  }
  const float input = widen(u[at]), gate = widen(z[at]);
  const bool real = inside && length[min(row, kBatch - 1)] > 0;
  float raw = bias[channel];
  wait_for_copies();
  __syncthreads();

  for (int v = 0; v < kRank / N; v++) {
    float w[N], r[N];
    Lanes<T, N>{weights[v * kWeightRow + c]}.unpack(w);
    read<f32, N>(projected + v * N, r);
#pragma unroll
    for (int n = 0; n < N; n++) {
      raw = fmaf(r[n], w[n], raw);
    }
  }
  const float delta = softplus(raw);
  const float *bN = projected + kRank, *cN = bN + kStates;
  float sum = d[channel] * input;
  int stride = kInner;
  asm volatile("" : "+r"(stride)); // or all addresses of above are kept until here, in two registers each
#pragma unroll
  for (int n0 = 0; n0 < kMostStates; n0 += 4) {
    if (n0 < kStates) {
      float b4[4], c4[4];
      read<f32, 4>(bN + n0, b4);
      read<f32, 4>(cN + n0, c4);
#pragma unroll
      for (int k = 0; k < 4; k++) {
        const int n = n0 + k;
        const float next = fmaf(exp2_fast(delta * a[n][c]), h[n], delta * input * b4[k]);
        sum = fmaf(c4[k], next, sum);
        if (real) {
          own[(long long)n * stride] = next;
        }
      }
    }
  }
  if (inside) {
    y[at] = narrow<T>(sum * gate * sigmoid(gate));
  }
}

#define SCAN(T, NAME, FUNCTION, BLOCKS)                                                                                \
  extern "C" __global__ void __launch_bounds__(kThreads, BLOCKS)                                                       \
      NAME(const T *u, const T *z, const float *p, const T *weight, const float *bias, const float *aLog,              \
           const float *d, const float *, const int *length, float *state, T *y) {                                     \
    FUNCTION(u, z, p, weight, bias, aLog, d, length, state, y);                                                        \
  }
#define ENTRIES(T)                                                                                                     \
  SCAN(T, mamba_scan_##T##_n16, (scan<T, 16>), 2)                                                                      \
  SCAN(T, mamba_scan_##T##_n64, (scan<T, 64>), 2)                                                                      \
  SCAN(T, mamba_scan_##T##_n256, (scan<T, 256>), 1)                                                                    \
  SCAN(T, mamba_scan_rows_##T, scanRows<T>, 5)

#if defined(TYPE_BF16)
ENTRIES(bf16)
#else
ENTRIES(f32)
#endif
