// Products of a few rows with wide weights, which decoding is bound by: every weight is read once, as fast as memory gives
// it. Norm, activation and residual go along:
//
//   y_i = f(x̂·W_i) + residual        x̂ = x, or x/√(mean x² + ε) rounded to D        f: none or max(·, 0)²
//   logits = c·tanh(x̂·W_0 / c)       float32
//
// A block owns 16 to 64 columns (32 to 128 bytes of each row of W) and all of the depth. A thread has 16 bytes of every
// kThreads/L-th row, the first kAhead of them under way before x is looked at, and as many all along. Sums are taken in a
// fixed order: over a warp by shuffles, then over warps.
//
// Entries, for D in bf16, f16, f32; R in 1, 2, 4, 8; L, the threads of a row, in 2, 4, 8:
//   matvec_D_rR_lL   x [kRows,K], residual [kRows,N_0], W_0 [K,N_0], W_1 [K,N_1], W_2 [K,N_2];  then y_0, y_1, y_2 [kRows,N_i]
//   logits_D_rR_lL   x [kRows,K], W_0 [K,N_0];                                                 then logits f32 [kRows,N_0]
// Conditions: kRows ≤ R; K a multiple of 16 bytes; every N_i a multiple of L·16 bytes, 0 where there is none: the pointers of
// that one are never followed, nor that of the residual without kResidual.
//
// Launch: block (kLaunchThreads,1,1), grid (Σ N_i / (L·16 bytes), 1, 1), dynamic shared memory K·R·(bytes of D).
//
// Constants: kRows, kDepth K, kColumns0 … 2 N_i, kNorm 0/1, kEpsilonBits, kActivation 0/1 (max(·, 0)²), kResidual 0/1,
// kCapBits c.
#include "lanes.cuh"
#include "primitives.cuh"

extern "C" __constant__ int kRows = 0x7A000001;
extern "C" __constant__ int kDepth = 0x7A000002;
extern "C" __constant__ int kColumns0 = 0x7A000003;
extern "C" __constant__ int kColumns1 = 0x7A000004;
extern "C" __constant__ int kColumns2 = 0x7A000005;
extern "C" __constant__ int kNorm = 0x7A000006;
extern "C" __constant__ int kEpsilonBits = 0x7A000007;
extern "C" __constant__ int kActivation = 0x7A000008;
extern "C" __constant__ int kResidual = 0x7A000009;
extern "C" __constant__ int kCapBits = 0x7A00000A;

constexpr int kThreads = 512, kWarps = kThreads / 32;
constexpr int kAhead = 8; // loads of a thread under way
extern "C" __constant__ int kLaunchThreads = kThreads;

// kBlocks is how many blocks share a multiprocessor; more rows need more registers.
template <int R> constexpr int kBlocks = R <= 2 ? 2 : 1;

extern __shared__ uint4 dynamicShared[];

// inputs puts x̂ into shared memory, [K][R], zero in rows past kRows. A warp has every (kWarps/R)-th vector of one row.
template <typename T, int R> __device__ __forceinline__ void inputs(const T *x, T *shared) {
  constexpr int N = 16 / sizeof(T), parts = kWarps / R;
  __shared__ float squares[kWarps];
  const int warp = threadIdx.x / 32, row = warp % R, begin = (warp / R * 32 + threadIdx.x % 32) * N;
  float sum = 0;
  for (int k = begin; k < kDepth; k += parts * 32 * N) {
    const Lanes<T, N> vector = row < kRows ? Lanes<T, N>::load(x + (long long)row * kDepth + k) : Lanes<T, N>::zero();
    float v[N];
    vector.unpack(v);
#pragma unroll
    for (int n = 0; n < N; n++) {
      sum = fmaf(v[n], v[n], sum);
      shared[(k + n) * R + row] = narrow<T>(v[n]);
    }
  }
  if (kNorm) {
    sum = sumLanes(sum);
    if (threadIdx.x % 32 == 0) {
      squares[warp] = sum;
    }
    __syncthreads();
    float all = 0;
#pragma unroll
    for (int part = 0; part < parts; part++) {
      all += squares[part * R + row];
    }
    const float scale = rsqrtf(all / float(kDepth) + __int_as_float(kEpsilonBits));
    for (int k = begin; k < kDepth; k += parts * 32 * N) {
#pragma unroll
      for (int n = 0; n < N; n++) {
        T &value = shared[(k + n) * R + row];
        value = narrow<T>(widen(value) * scale);
      }
    }
  }
  __syncthreads();
}

// sums multiplies x̂ with the block's columns: sum[r][c] for the first R·C threads, thread r·C + c.
template <typename T, int R, int L> __device__ __forceinline__ float sums(const T *x, const T *weight, int columns) {
  constexpr int N = 16 / sizeof(T), C = L * N, pass = kThreads / L, V = R * N;
  __shared__ float partial[kWarps][R * C];
  T *shared = reinterpret_cast<T *>(dynamicShared);
  const int lane = threadIdx.x % L, first = threadIdx.x / L;
  const T *from = weight + (long long)first * columns + lane * N;
  const long long stride = (long long)pass * columns;

  Lanes<T, N> ahead[kAhead];
#pragma unroll
  for (int u = 0; u < kAhead; u++) {
    ahead[u] = Lanes<T, N>::zero();
    if (first + u * pass < kDepth) {
      ahead[u].raw = load_once(from + u * stride);
    }
  }
  inputs<T, R>(x, shared);

  float sum[V] = {};
  from += kAhead * stride;
  for (int k0 = first; k0 < kDepth; k0 += kAhead * pass) {
#pragma unroll
    for (int u = 0; u < kAhead; u++) {
      const int k = k0 + u * pass;
      if (k < kDepth) {
        float w[N], in[R];
        ahead[u].unpack(w);
        if (k + kAhead * pass < kDepth) {
          ahead[u].raw = load_once(from);
        }
        read<T, R>(shared + k * R, in);
#pragma unroll
        for (int r = 0; r < R; r++) {
#pragma unroll
          for (int n = 0; n < N; n++) {
            sum[r * N + n] = fmaf(in[r], w[n], sum[r * N + n]);
          }
        }
      }
      from += stride;
    }
  }

  // Over the warp's lanes of the same columns: at each step a lane keeps half of its sums and gives the other half away.
  int held = V, base = 0;
#pragma unroll
  for (int apart = 16; apart >= L; apart /= 2) {
    if (held > 1) {
      held /= 2;
      const bool upper = threadIdx.x & apart;
#pragma unroll
      for (int i = 0; i < V / 2; i++) {
        if (i < held) {
          const float keep = upper ? sum[i + held] : sum[i], give = upper ? sum[i] : sum[i + held];
          sum[i] = keep + __shfl_xor_sync(kWholeWarp, give, apart);
        }
      }
      base += upper ? held : 0;
    } else {
      sum[0] += __shfl_xor_sync(kWholeWarp, sum[0], apart);
    }
  }
#pragma unroll
  for (int i = 0; i < V / 2; i++) {
    if (i < held) {
      partial[threadIdx.x / 32][(base + i) / N * C + lane * N + (base + i) % N] = sum[i];
    }
  }
  __syncthreads();
  float total = 0;
  if (threadIdx.x < R * C) {
#pragma unroll
    for (int warp = 0; warp < kWarps; warp++) {
      total += partial[warp][threadIdx.x];
    }
  }
  return total;
}

template <typename T, int R, int L>
__device__ __forceinline__ void matvec(const T *x, const T *residual, const T *w0, const T *w1, const T *w2, T *y0, T *y1, T *y2) {
  constexpr int C = L * 16 / sizeof(T);
  const T *weight = w0;
  T *y = y0;
  int column = blockIdx.x * C, columns = kColumns0;
  if (column >= columns) {
    column -= columns, weight = w1, y = y1, columns = kColumns1;
    if (column >= columns) {
      column -= columns, weight = w2, y = y2, columns = kColumns2;
    }
  }
  const int row = threadIdx.x / C;
  const long long at = (long long)row * columns + column + threadIdx.x % C;
  const bool mine = threadIdx.x < R * C && row < kRows;
  const float added = kResidual && mine ? widen(residual[at]) : 0.0f;
  float sum = sums<T, R, L>(x, weight + column, columns);
  if (kActivation) {
    sum = fmaxf(sum, 0.0f);
    sum *= sum;
  }
  if (mine) {
    y[at] = narrow<T>(sum + added);
  }
}

template <typename T, int R, int L> __device__ __forceinline__ void logits(const T *x, const T *weight, float *out) {
  constexpr int C = L * 16 / sizeof(T);
  const int column = blockIdx.x * C, row = threadIdx.x / C;
  const float sum = sums<T, R, L>(x, weight + column, kColumns0), cap = __int_as_float(kCapBits);
  if (threadIdx.x < R * C && row < kRows) {
    out[(long long)row * kColumns0 + column + threadIdx.x % C] = cap * tanhf(sum / cap);
  }
}

#define ENTRIES(T, R, L)                                                                                               \
  extern "C" __global__ void __launch_bounds__(kThreads, kBlocks<R>) matvec_##T##_r##R##_l##L(                         \
      const T *x, const T *residual, const T *w0, const T *w1, const T *w2, T *y0, T *y1, T *y2) {                     \
    matvec<T, R, L>(x, residual, w0, w1, w2, y0, y1, y2);                                                              \
  }                                                                                                                    \
  extern "C" __global__ void __launch_bounds__(kThreads, kBlocks<R>)                                                   \
      logits_##T##_r##R##_l##L(const T *x, const T *weight, float *out) {                                              \
    logits<T, R, L>(x, weight, out);                                                                                   \
  }
#define WIDTHS(T, R) ENTRIES(T, R, 2) ENTRIES(T, R, 4) ENTRIES(T, R, 8)
#define ROWS(T) WIDTHS(T, 1) WIDTHS(T, 2) WIDTHS(T, 4) WIDTHS(T, 8)

#if defined(TYPE_BF16)
ROWS(bf16)
#elif defined(TYPE_F16)
ROWS(f16)
#else
ROWS(f32)
#endif
