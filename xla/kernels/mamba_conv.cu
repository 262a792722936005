// One token a row through the first half of the Mamba block's middle, where rows are too many to go along with the products
// before it (conv of matvec.cu). Float32 arithmetic:
//
//   conv      u_i = silu(bias_i + Σ_w weight_w,i · x_i of the last W tokens)      the window moves on by the new token
//   project   p = u·W_xᵀ
//
// A row of length 0 has no token: its window stays as it is, and its u means nothing.
//
// Entries, for D in bf16, f32:
//   mamba_conv_D    x [B,I], weight f32 [W,I], bias f32 [I], window [B,W-1,I], length i32 [B];
//                   then window (the buffer of the operand), u [B,I]
//   mamba_project   u bf16 [B,I], W_x bf16 [P,I];   then p f32 [B,P]
// Conditions: W of 2 … 8; I of conv even; for project P a multiple of 8 and I of 256.
//
// Launch: conv block (kLaunchThreads,1,1), grid (ceil(I·(bytes of D) / 4 / kLaunchThreads), B, 1), no dynamic shared memory;
//         project block (kLaunchThreads,1,1), grid (P / 8, ceil(B / 16), 1), dynamic shared memory kLaunchShared.
//
// Constants: kBatch B, kInner I, kTaps W, kColumns P.
#include "functions.cuh"
#include "lanes.cuh"
#include "primitives.cuh"

extern "C" __constant__ int kBatch = 0x7A000001;
extern "C" __constant__ int kInner = 0x7A000002;
extern "C" __constant__ int kTaps = 0x7A000003;
extern "C" __constant__ int kColumns = 0x7A000004;

constexpr int kThreads = 256, kWarps = kThreads / 32, kMostTaps = 8;
constexpr int kAhead = 10; // vectors of a thread under way in project, of each of its two rows and its column
extern "C" __constant__ int kLaunchThreads = kThreads;
extern "C" __constant__ int kLaunchShared = 3 * kAhead * 16 * kThreads;

extern __shared__ uint4 dynamicShared[];

// ---- conv: a thread has 4 bytes of neighbouring channels ----

template <typename T>
__device__ __forceinline__ void conv(const T *x, const float *weight, const float *bias, const int *length, T *window, T *u) {
  constexpr int N = 4 / sizeof(T);
  const int row = blockIdx.y, channel = (blockIdx.x * kThreads + threadIdx.x) * N;
  if (channel >= kInner) {
    return;
  }
  const long long at = (long long)row * kInner + channel;
  T *past = window + (long long)row * (kTaps - 1) * kInner + channel;
  const bool real = length[row] > 0;
  Lanes<T, N> seen[kMostTaps];
#pragma unroll
  for (int w = 0; w < kMostTaps; w++) {
    if (w < kTaps) {
      seen[w] = Lanes<T, N>::load(w < kTaps - 1 ? past + (long long)w * kInner : x + at);
    }
  }
  float y[N];
  read<f32, N>(bias + channel, y);
#pragma unroll
  for (int w = 0; w < kMostTaps; w++) {
    if (w < kTaps) {
      float taps[N], values[N];
      read<f32, N>(weight + w * kInner + channel, taps);
      seen[w].unpack(values);
#pragma unroll
      for (int n = 0; n < N; n++) {
        y[n] = fmaf(taps[n], values[n], y[n]);
      }
    }
  }
#pragma unroll
  for (int n = 0; n < N; n++) {
    y[n] *= sigmoid(y[n]);
  }
  write<T, N>(u + at, y);
#pragma unroll
  for (int w = 1; w < kMostTaps; w++) {
    if (w < kTaps && real) {
      seen[w].store(past + (long long)(w - 1) * kInner);
    }
  }
}

// ---- project: 16 rows × 8 columns a block, on the tensor cores; each warp has an eighth of the inputs ----

__device__ __forceinline__ void project(const bf16 *u, const bf16 *weight, float *p) {
  __shared__ float parts[kWarps][16 * 8];
  const int warp = threadIdx.x / 32, group = threadIdx.x % 32 / 4, own = threadIdx.x % 4;
  const int row = blockIdx.y * 16 + group, depth = kInner / kWarps, k0 = warp * depth + own * 8;
  // Any order of the inputs will do that is the same for u and the weights: a lane takes eight neighbours of every 32.
  const bf16 *upper = u + (long long)min(row, kBatch - 1) * kInner + k0, *lower = u + (long long)min(row + 8, kBatch - 1) * kInner + k0;
  const bf16 *right = weight + (long long)(blockIdx.x * 8 + group) * kInner + k0;
  // Each thread reads back what it has copied itself. Loads into registers would be asked for one by one: ptxas sinks them.
  uint4 *copies = dynamicShared + threadIdx.x;
  float sum[4] = {};
  for (int k = 0; k < depth / 32; k += kAhead) {
#pragma unroll
    for (int i = 0; i < kAhead; i++) {
      if (k + i < depth / 32) {
        copy_async(copies + (3 * i) * kThreads, upper + 32 * (k + i));
        copy_async(copies + (3 * i + 1) * kThreads, lower + 32 * (k + i));
        copy_async(copies + (3 * i + 2) * kThreads, right + 32 * (k + i));
      }
    }
    wait_for_copies();
#pragma unroll
    for (int i = 0; i < kAhead; i++) {
      if (k + i < depth / 32) {
        const uint4 x = copies[(3 * i) * kThreads], y = copies[(3 * i + 1) * kThreads], w = copies[(3 * i + 2) * kThreads];
        multiply_bf16(sum, x.x, y.x, x.y, y.y, w.x, w.y);
        multiply_bf16(sum, x.z, y.z, x.w, y.w, w.z, w.w);
      }
    }
  }
#pragma unroll
  for (int i = 0; i < 4; i++) {
    parts[warp][(group + i / 2 * 8) * 8 + own * 2 + i % 2] = sum[i];
  }
  __syncthreads();
  const int r = threadIdx.x / 8, c = threadIdx.x % 8;
  if (r < 16 && blockIdx.y * 16 + r < kBatch) {
    float total = 0;
#pragma unroll
    for (int part = 0; part < kWarps; part++) {
      total += parts[part][threadIdx.x];
    }
    p[(long long)(blockIdx.y * 16 + r) * kColumns + blockIdx.x * 8 + c] = total;
  }
}

#define CONV(T)                                                                                                        \
  extern "C" __global__ void __launch_bounds__(kThreads) mamba_conv_##T(                                               \
      const T *x, const float *weight, const float *bias, const T *, const int *length, T *window, T *u) {             \
    conv<T>(x, weight, bias, length, window, u);                                                                       \
  }

#if defined(TYPE_BF16)
CONV(bf16)
extern "C" __global__ void __launch_bounds__(kThreads) mamba_project(const bf16 *u, const bf16 *weight, float *p) {
  project(u, weight, p);
}
#else
CONV(f32)
#endif
