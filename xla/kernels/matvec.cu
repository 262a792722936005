// Products of a few rows with wide weights, which decoding is bound by: every weight is read once, as fast as memory gives
// it. What stands before and after them in a block goes along:
//
//   matvec  y_i = f(x̂·W_iᵀ) + residual     x̂ = x, or x/√(mean x² + ε) rounded to D        f: none or max(·, 0)²
//   wide    y   = x̂·Wᵀ or c·tanh(x̂·Wᵀ / c), float32
//   conv    u   = silu(bias + Σ_w weight_w · the last W tokens of x̂·W_0ᵀ), whose window moves on by the new token;  z = x̂·W_1ᵀ.
//           A row of length 0 has no token: its window stays, and its u means nothing.
//
// Weights lie with the inputs of a column side by side, [N,K]. A warp takes C neighbouring columns at a time, each lane 16
// bytes of every 512; the first are under way before x is looked at. Sums are taken in a fixed order: a lane's own, then
// over the warp.
//
// Entries, for D in bf16, f32; R in 1, 4, 8; C in 1, 2:
//   matvec_D_rR_cC  x [kRows,K], residual [kRows,N_0], W_0 [N_0,K], W_1 [N_1,K], W_2 [N_2,K];  then y_0, y_1, y_2 [kRows,N_i]
//   wide_D_rR_cC    x [kRows,K], W_0 [N_0,K];                                                  then y f32 [kRows,N_0]
//   conv_D_rR_cC    x [kRows,K], W_0 [N_0,K], W_1 [N_1,K], weight f32 [W,N_0], bias f32 [N_0], window [kRows,W-1,N_0],
//                   length i32 [kRows];             then window (the buffer of the operand), u [kRows,N_0], z [kRows,N_1]
// Conditions: kRows ≤ R; K a multiple of 16 bytes; W of 2 … 8. N_i is 0 where there is no W_i: the pointers of that one are
// never followed, nor that of the residual without kResidual.
//
// Launch: block (kLaunchThreads,1,1), any grid (n,1,1), dynamic shared memory K·R·(bytes of D).
//
// Constants: kRows, kDepth K, kColumns0 … 2 N_i, kNorm 0/1, kEpsilonBits, kActivation 0/1 (max(·, 0)²), kResidual 0/1,
// kCapBits c or 0, kTaps W.
#include "functions.cuh"
#include "matvec.cuh"

extern "C" __constant__ int kActivation = 0x7A000008;
extern "C" __constant__ int kResidual = 0x7A000009;
extern "C" __constant__ int kCapBits = 0x7A00000A;
extern "C" __constant__ int kTaps = 0x7A00000B;

constexpr int kMostTaps = 8;

template <typename T> struct Finish {
  static constexpr bool kNormed = false;
  const T *residual;
  T *y0, *y1, *y2;
  T *to;
  float added;

  __device__ __forceinline__ void begin(const Columns<T> &columns, int row, int column) {
    const int width = columns.matrix == 0 ? kColumns0 : columns.matrix == 1 ? kColumns1 : kColumns2;
    const long long at = (long long)row * width + column;
    to = (columns.matrix == 0 ? y0 : columns.matrix == 1 ? y1 : y2) + at;
    added = kResidual ? widen(residual[at]) : 0.0f;
  }
  __device__ __forceinline__ void end(float total) {
    if (kActivation) {
      total = fmaxf(total, 0.0f);
      total *= total;
    }
    *to = narrow<T>(total + added);
  }
};

template <typename T> struct FinishWide {
  static constexpr bool kNormed = false;
  float *y, *to;

  __device__ __forceinline__ void begin(const Columns<T> &, int row, int column) { to = y + (long long)row * kColumns0 + column; }
  __device__ __forceinline__ void end(float total) {
    const float cap = __int_as_float(kCapBits);
    *to = cap == 0.0f ? total : cap * tanhf(total / cap);
  }
};

template <typename T> struct FinishConv {
  static constexpr bool kNormed = true; // or shared memory all the same, which spares registers
  const float *weight, *bias;
  T *window;
  const int *length;
  T *u, *z;
  bool convolves, real;
  T *past, *to;
  T seen[kMostTaps - 1];
  float sum, tap; // bias and taps of the past, and the tap of the new token

  __device__ __forceinline__ void begin(const Columns<T> &columns, int row, int column) {
    convolves = columns.matrix == 0;
    to = convolves ? u + (long long)row * kColumns0 + column : z + (long long)row * kColumns1 + column;
    if (!convolves) {
      return;
    }
    past = window + (long long)row * (kTaps - 1) * kColumns0 + column;
    sum = bias[column], tap = weight[(kTaps - 1) * kColumns0 + column], real = length[row] > 0;
#pragma unroll
    for (int w = 0; w < kMostTaps - 1; w++) {
      if (w < kTaps - 1) {
        seen[w] = past[(long long)w * kColumns0];
        sum = fmaf(weight[w * kColumns0 + column], widen(seen[w]), sum);
      }
    }
  }
  __device__ __forceinline__ void end(float total) {
    if (!convolves) {
      *to = narrow<T>(total);
      return;
    }
    const T newest = narrow<T>(total);
    sum = fmaf(tap, widen(newest), sum);
#pragma unroll
    for (int w = 0; w < kMostTaps - 1; w++) {
      if (w < kTaps - 1 && real) {
        past[(long long)w * kColumns0] = w == kTaps - 2 ? newest : seen[min(w + 1, kMostTaps - 2)];
      }
    }
    *to = narrow<T>(sum * sigmoid(sum));
  }
};

#define ENTRIES(T, R, C)                                                                                               \
  extern "C" __global__ void __launch_bounds__(kThreads, kBlocks<R>) matvec_##T##_r##R##_c##C(                         \
      const T *x, const T *residual, const T *w0, const T *w1, const T *w2, T *y0, T *y1, T *y2) {                     \
    products<T, R, C>(x, w0, w1, w2, Finish<T>{residual, y0, y1, y2});                                                 \
  }                                                                                                                    \
  extern "C" __global__ void __launch_bounds__(kThreads, kBlocks<R>)                                                   \
      wide_##T##_r##R##_c##C(const T *x, const T *weight, float *y) {                                                  \
    products<T, R, C>(x, weight, weight, weight, FinishWide<T>{y});                                                    \
  }                                                                                                                    \
  extern "C" __global__ void __launch_bounds__(kThreads, kBlocks<R>)                                                   \
      conv_##T##_r##R##_c##C(const T *x, const T *w0, const T *w1, const float *weight, const float *bias, const T *,  \
                             const int *length, T *window, T *u, T *z) {                                               \
    products<T, R, C>(x, w0, w1, w1, FinishConv<T>{weight, bias, window, length, u, z});                               \
  }
#define ROWS(T, R) ENTRIES(T, R, 1) ENTRIES(T, R, 2)
#define ALL(T) ROWS(T, 1) ROWS(T, 4) ROWS(T, 8)

#if defined(TYPE_BF16)
ALL(bf16)
#else
ALL(f32)
#endif
