// Gradient of the causal depthwise convolution with bias and SiLU: see conv.cuh.
#include "conv.cuh"

extern "C" __constant__ int kPartials = 0x7A00000A;

constexpr int kPieces = 8; // pieces of time a block has

// Slopes is what backward carries along: the last W gradients of y, and the sums over the piece's own tokens.
template <int W, int N> struct Slopes {
  float dy[W][N] = {};
  float dweight[W][N] = {};
  float dbias[N] = {};

  // push takes ∂y of the newest token from ∂out: silu'(y) = σ + y·σ·(1 - σ).
  __device__ __forceinline__ void push(const float (&y)[N], const float (&dout)[N]) {
#pragma unroll
    for (int n = 0; n < N; n++) {
#pragma unroll
      for (int w = 1; w < W; w++) {
        dy[w - 1][n] = dy[w][n];
      }
      const float s = sigmoid(y[n]);
      dy[W - 1][n] = dout[n] * fmaf(y[n] * s, 1.0f - s, s);
    }
  }

  // add counts the newest token in the sums.
  template <typename P> __device__ __forceinline__ void add(const P &past, bool one) {
#pragma unroll
    for (int n = 0; n < N; n++) {
      dbias[n] += dy[W - 1][n];
    }
#pragma unroll
    for (int w = 0; w < W; w++) {
      if (one || past.counts(w)) {
#pragma unroll
        for (int n = 0; n < N; n++) {
          dweight[w][n] = fmaf(dy[W - 1][n], past.x[w][n], dweight[w][n]);
        }
      }
    }
  }

  // input is ∂x of the oldest token: y of the token k after it has weight W-1-k for it.
  template <typename P> __device__ __forceinline__ void input(const P &past, bool one, float (&dx)[N]) const {
    zero(dx);
#pragma unroll
    for (int k = 0; k < W; k++) {
      if (one || (k < kTaps && past.document[k] == past.document[0])) {
#pragma unroll
        for (int n = 0; n < N; n++) {
          dx[n] = fmaf(past.weight[W - 1 - k][n], dy[k][n], dx[n]);
        }
      }
    }
  }
};

// store adds the sums of a block's pieces, in order, and writes them as one partial.
template <int W, int N> __device__ __forceinline__ void store(const Slopes<W, N> &slopes, float *partials) {
  __shared__ float sums[kPieces][W + 1][32 * N];
#pragma unroll
  for (int n = 0; n < N; n++) {
#pragma unroll
    for (int w = 0; w < W; w++) {
      sums[threadIdx.y][w][threadIdx.x * N + n] = slopes.dweight[w][n];
    }
    sums[threadIdx.y][W][threadIdx.x * N + n] = slopes.dbias[n];
  }
  __syncthreads();
  partials += ((long long)blockIdx.z * gridDim.y + blockIdx.y) * (kTaps + 1) * kInner;
  const int base = blockIdx.x * 32 * N, skipped = W - kTaps;
  for (int w = skipped + threadIdx.y; w <= W; w += kPieces) {
    for (int column = threadIdx.x; column < 32 * N && base + column < kInner; column += 32) {
      float sum = 0;
#pragma unroll
      for (int piece = 0; piece < kPieces; piece++) {
        sum += sums[piece][w][column];
      }
      partials[(long long)(w - skipped) * kInner + base + column] = sum;
    }
  }
}

template <typename T, int W, int N>
__device__ __forceinline__ void backward(const T *x, const float *weight, const float *bias, const int *documents,
                                         const T *window, const T *dout, T *dx, float *partials, T *dwindow) {
  constexpr int unrolled = kUnrolledFor<W>;
  const int channel = (blockIdx.x * 32 + threadIdx.x) * N, batch = blockIdx.z;
  const long long begin = (long long)(blockIdx.y * kPieces + threadIdx.y) * kSteps;
  Slopes<W, N> slopes;
  if (channel < kInner && begin < kTime) {
    const int first = int(begin), last = min(first + kSteps, kTime);
    const Row<T, N> row(x, documents, window, batch, channel);
    Past<T, W, N> past(row, weight, bias, first);
    dout += (long long)batch * kTime * kInner + channel;
    dx += (long long)batch * kTime * kInner + channel;
    dwindow += (long long)batch * (kTaps - 1) * kInner + channel;

    // W-1 tokens more than the piece: its last inputs reach that far. Past the row's end ∂y is zero.
    for (int start = first; start < last + W - 1; start += unrolled) {
      Lanes<T, N> ahead[unrolled], aheadSlope[unrolled];
      int document[unrolled];
#pragma unroll
      for (int u = 0; u < unrolled; u++) {
        const int time = min(start + u, kTime - 1);
        ahead[u] = row.token(time);
        aheadSlope[u] = start + u < kTime ? Lanes<T, N>::load(dout + (long long)time * kInner) : Lanes<T, N>::zero();
        document[u] = row.document(time);
      }
#pragma unroll
      for (int u = 0; u < unrolled; u++) {
        const int time = start + u, oldest = time - (W - 1);
        float y[N], dnew[N], dold[N];
        past.push(ahead[u], document[u]);
        aheadSlope[u].unpack(dnew);
        const bool own = time < last;
        if (past.oneDocument()) {
          past.output(true, y);
          slopes.push(y, dnew);
          if (own) {
            slopes.add(past, true);
          }
          slopes.input(past, true, dold);
        } else {
          past.output(false, y);
          slopes.push(y, dnew);
          if (own) {
            slopes.add(past, false);
          }
          slopes.input(past, false, dold);
        }
        if (oldest >= first && oldest < last) {
          write<T, N>(dx + (long long)oldest * kInner, dold);
        } else if (first == 0 && oldest < 0 && kWindow && oldest + kTaps > 0) {
          write<T, N>(dwindow + (long long)(oldest + kTaps - 1) * kInner, dold);
        }
      }
    }
  }
  store(slopes, partials);
}

extern "C" __global__ void __launch_bounds__(256) conv_silu_sum(const float *partials, float *dweight, float *dbias) {
  __shared__ float sums[8][32];
  const int columns = (kTaps + 1) * kInner, column = blockIdx.x * 32 + threadIdx.x;
  float sum = 0;
  if (column < columns) {
    for (int p = threadIdx.y; p < kPartials; p += 8) {
      sum += partials[(long long)p * columns + column];
    }
  }
  sums[threadIdx.y][threadIdx.x] = sum;
  __syncthreads();
  if (threadIdx.y == 0 && column < columns) {
    for (int y = 1; y < 8; y++) {
      sum += sums[y][threadIdx.x];
    }
    *(column < kTaps * kInner ? dweight + column : dbias + (column - kTaps * kInner)) = sum;
  }
}

#define BACKWARD(name, T, W, N)                                                                                        \
  extern "C" __global__ void __launch_bounds__(256)                                                                    \
      name(const T *x, const float *weight, const float *bias, const int *documents, const T *window, const T *dout,   \
           T *dx, float *partials, T *dwindow) {                                                                       \
    backward<T, W, N>(x, weight, bias, documents, window, dout, dx, partials, dwindow);                                \
  }
#define ENTRIES(T, W)                                                                                                  \
  BACKWARD(conv_silu_backward_##T##_w##W, T, W, (W == 4 ? 16 : 8) / sizeof(T))                                         \
  BACKWARD(conv_silu_backward_##T##_w##W##_any, T, W, 1)

ENTRIES(bf16, 4)
ENTRIES(bf16, 8)
ENTRIES(f16, 4)
ENTRIES(f16, 8)
ENTRIES(f32, 4)
ENTRIES(f32, 8)
