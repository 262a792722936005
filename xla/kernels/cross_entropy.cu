// Cross-entropy of soft-capped logits over a large vocabulary, with the gradient by the raw logits in the same pass.
// Float32 arithmetic, cap at most 64, so that exp needs no shift:
//
//   l_v = cap·tanh(x_v/cap)     loss = ln Σ_v exp(l_v) - l_target
//   dx_v = weight·(exp(l_v)/Σ - [v = target])·(1 - tanh²(x_v/cap))
//
// weight is the row's share in the whole loss (its adjoint), known beforehand: 1/tokens for a mean. A target below zero
// is ignored: loss and gradient are zero. A target of V or more has no logit: its l is zero and no v equals it.
//
// Entries, for D in bf16, f16, f32:
//   cross_entropy_D_wide   V divisible by N, 8 for bf16 and f16, 4 for f32
//   cross_entropy_D_any    any V, as _wide with N = 1
//
// Arguments: logits [R,V], targets i32 [R], weights f32 [R];  then losses f32 [R], dlogits [R,V]. dlogits may be the
// buffer of logits.
//
// Launch: block (512,1,1), grid (R,1,1), no dynamic shared memory. (A row of 65,536 fits in shared memory, but one block a
// multiprocessor is slower than reading it twice: 0.43 against 0.40 ms for 4,096 rows on an H200.)
//
// Constants: kRows R, kVocabulary V, kCapBits: the bits of cap as float32.
#include "lanes.cuh"

extern "C" __constant__ int kRows = 0x7A000001;
extern "C" __constant__ int kVocabulary = 0x7A000002;
extern "C" __constant__ int kCapBits = 0x7A000003;

constexpr float kLog2E = 1.4426950408889634f, kLn2 = 0.6931471805599453f;

// Cap computes logits in units of ln 2, L = l·log2(e), so that exp(l) is one exp2.
struct Cap {
  float cap, unit;  // L = unit·tanh(x/cap)
  float series[6];  // of L/x in x²
  float curvature;  // tanh² = curvature·L²

  // The series is the minimax polynomial of tanh(u)/u in u² on |u| ≤ 1, by Remez: relative error 6e-7. It takes 7
  // instructions, none of them on the slow unit for exponentials, which would otherwise be the bound.
  __device__ __forceinline__ Cap() : cap(__int_as_float(kCapBits)), unit(cap * kLog2E), curvature(1 / (unit * unit)) {
    const float tanh[6] = {0.9999994136f, -0.3332904238f, 0.1328143389f, -0.0516056742f, 0.0167431153f, -0.0030670604f};
    const float square = 1 / (cap * cap);
    float scale = kLog2E;
#pragma unroll
    for (int i = 0; i < 6; i++) {
      series[i] = tanh[i] * scale;
      scale *= square;
    }
  }

  __device__ __forceinline__ float flat(float x) const {
    const float z = x * x;
    float sum = series[5];
#pragma unroll
    for (int i = 4; i >= 0; i--) {
      sum = fmaf(sum, z, series[i]);
    }
    return x * sum;
  }

  __device__ __forceinline__ float steep(float x) const {
    return fmaf(-2 * unit, 1 / (1 + exp2f(x * (2 * kLog2E / cap))), unit);
  }

  template <int N> __device__ __forceinline__ void logits(bool steeply, const float (&x)[N], float (&out)[N]) const {
    if (steeply) {
#pragma unroll
      for (int n = 0; n < N; n++) {
        out[n] = steep(x[n]);
      }
    } else {
#pragma unroll
      for (int n = 0; n < N; n++) {
        out[n] = flat(x[n]);
      }
    }
  }

  // isSteep tells whether any of N logits is beyond the series.
  template <typename T, int N> __device__ __forceinline__ bool isSteep(const Lanes<T, N> &x) const {
    return x.largest() > cap;
  }

  // addExponentials adds exp(l) of N logits to sum.
  template <typename T, int N>
  __device__ __forceinline__ float addExponentials(const Lanes<T, N> &x, bool steeply, float sum) const {
    float v[N], logit[N];
    x.unpack(v);
    logits(steeply, v, logit);
#pragma unroll
    for (int n = 0; n < N; n++) {
      sum += exp2f(logit[n]);
    }
    return sum;
  }
};

// RowLoss is what a row's second pass needs.
struct RowLoss {
  int target;
  float weight, share; // share = weight / Σ exp(l)

  template <typename T, int N>
  __device__ __forceinline__ Lanes<T, N> gradient(const Cap &cap, const Lanes<T, N> &x, bool steeply, int first) const {
    float v[N], logit[N];
    x.unpack(v);
    cap.logits(steeply, v, logit);
    const float curve = share * cap.curvature;
#pragma unroll
    for (int n = 0; n < N; n++) {
      v[n] = exp2f(logit[n]) * fmaf(-curve, logit[n] * logit[n], share);
    }
    if (unsigned(target - first) < unsigned(N)) {
      const float targetCurve = weight * cap.curvature;
#pragma unroll
      for (int n = 0; n < N; n++) {
        if (target == first + n) {
          v[n] -= fmaf(-targetCurve, logit[n] * logit[n], weight);
        }
      }
    }
    return Lanes<T, N>::pack(v);
  }
};

// lossOf is the loss of a row with the given sum of exponentials.
__device__ __forceinline__ float lossOf(const Cap &cap, int target, float targetLogit, float sum) {
  const float logit = target < kVocabulary ? cap.steep(targetLogit) : 0.0f;
  return target < 0 ? 0.0f : kLn2 * (log2f(sum) - logit);
}

// Ahead is the vectors of a thread that are loaded before the first is used and before anything is stored.
template <typename T, int N> struct Ahead {
  static constexpr int count = 4;
  Lanes<T, N> vector[count];

  __device__ __forceinline__ Ahead(const T *x, int start, int step) {
#pragma unroll
    for (int i = 0; i < count; i++) {
      const int at = start + i * step;
      vector[i] = at < kVocabulary ? Lanes<T, N>::load(x + at) : Lanes<T, N>::zero();
    }
  }
};

// rows: a block a row, which reads it twice, the second time partly from the caches.
template <typename T, int N>
__device__ __forceinline__ void rows(const T *logits, const int *targets, const float *weights, float *losses, T *dlogits) {
  using Vectors = Ahead<T, N>;
  __shared__ float partial[32];
  const Cap cap;
  const int row = blockIdx.x, step = blockDim.x * N, first = threadIdx.x * N;
  const T *x = logits + (long long)row * kVocabulary;
  RowLoss loss;
  loss.target = targets[row];
  const float targetLogit = unsigned(loss.target) < unsigned(kVocabulary) ? widen(x[loss.target]) : 0.0f;

  float sum = 0;
  for (int start = first; start < kVocabulary; start += Vectors::count * step) {
    const Vectors ahead(x, start, step);
#pragma unroll
    for (int i = 0; i < Vectors::count; i++) {
      if (start + i * step < kVocabulary) {
        sum = cap.addExponentials(ahead.vector[i], cap.isSteep(ahead.vector[i]), sum);
      }
    }
  }
  sum = sumBlock(sum, partial);
  if (threadIdx.x == 0) {
    losses[row] = lossOf(cap, loss.target, targetLogit, sum);
  }
  loss.weight = loss.target < 0 ? 0.0f : weights[row];
  loss.share = loss.weight / sum;
  T *dx = dlogits + (long long)row * kVocabulary;
  for (int start = first; start < kVocabulary; start += Vectors::count * step) {
    const Vectors ahead(x, start, step);
#pragma unroll
    for (int i = 0; i < Vectors::count; i++) {
      const int at = start + i * step;
      if (at < kVocabulary) {
        loss.gradient(cap, ahead.vector[i], cap.isSteep(ahead.vector[i]), at).store(dx + at);
      }
    }
  }
}

#define ROWS(name, T, N)                                                                                               \
  extern "C" __global__ void __launch_bounds__(512)                                                                    \
      name(const T *logits, const int *targets, const float *weights, float *losses, T *dlogits) {                     \
    rows<T, N>(logits, targets, weights, losses, dlogits);                                                             \
  }
#define ENTRIES(T)                                                                                                     \
  ROWS(cross_entropy_##T##_wide, T, 16 / sizeof(T))                                                                    \
  ROWS(cross_entropy_##T##_any, T, 1)

ENTRIES(bf16)
ENTRIES(f16)
ENTRIES(f32)
