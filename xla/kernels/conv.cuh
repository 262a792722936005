// Causal depthwise convolution with bias and SiLU, and its gradient. Float32 arithmetic, channels last:
//
//   y[b,t,i] = bias[i] + Σ_w weight[w,i] · x[b,t-W+1+w,i]        out = y·σ(y)
//
// A term whose token is of another document than token t is zero. Before the row stand the W-1 rows of window, of the
// document of the row's first token, or zeros.
//
// Entries, for D in bf16, f16, f32 (the dtype of x, window, out and their gradients); all else is f32 or i32:
//   conv_silu_forward_D_w4     conv_silu_backward_D_w4      W of 2..4 (W = 4 is the fast one), I divisible by N
//   conv_silu_forward_D_w8     conv_silu_backward_D_w8      W of 2..8, I divisible by N
//   ..._w4_any                 ..._w8_any                   the same for any I: N = 1
//   conv_silu_sum                                           adds up the partial sums of backward
// N: 8 (bf16, f16) or 4 (f32), half of it in backward_w8; 1 in every _any. With N > 1 kStride and kOffset must be divisible
// by N too.
//
// Arguments of forward:  x [B,T,·] (rows of kStride numbers, of which I from kOffset on), weight f32 [W,I], bias f32 [I],
//                        documents i32 [B,T], window [B,W-1,I]; then out [B,T,I].
// Arguments of backward: x, weight, bias, documents, window as above, dout [B,T,I]; then dx [B,T,I],
//                        partials f32 [P,W+1,I], dwindow [B,W-1,I], where P = B·grid y.
// Arguments of sum:      partials f32 [P,W+1,I]; then dweight f32 [W,I], dbias f32 [I].
// Without documents (kDocuments 0) or window (kWindow 0) the pointer is never followed: pass any buffer. dwindow is
// written only with kWindow 1; without, any buffer of the outputs' list will do, of one element for instance.
//
// Files: conv_forward.cu, conv_backward.cu (which has sum too).
//
// Launch, with C = ceil(T / kSteps) pieces of time:
//   forward   block (128,1,1)  grid (ceil(B·C·I/N / 128), 1, 1)
//   backward  block (32,8,1)   grid (ceil(I/N / 32), ceil(C/8), B)
//   sum       block (32,8,1)   grid (ceil((W+1)·I / 32), 1, 1)
// No dynamic shared memory; B·C·I/N < 2³². kSteps trades parallel work for reading W-1 tokens twice a piece: 32 suits
// training, any number of 1 or more is right.
//
// Constants: kBatch B, kTime T, kInner I, kTaps W, kStride, kOffset, kSteps, kDocuments 0/1, kWindow 0/1; sum: kInner,
// kTaps, kPartials P.
#pragma once
#include "lanes.cuh"

extern "C" __constant__ int kBatch = 0x7A000001;
extern "C" __constant__ int kTime = 0x7A000002;
extern "C" __constant__ int kInner = 0x7A000003;
extern "C" __constant__ int kTaps = 0x7A000004;
extern "C" __constant__ int kStride = 0x7A000005;
extern "C" __constant__ int kOffset = 0x7A000006;
extern "C" __constant__ int kSteps = 0x7A000007;
extern "C" __constant__ int kDocuments = 0x7A000008;
extern "C" __constant__ int kWindow = 0x7A000009;

// kUnrolledFor is how many tokens are loaded before the first is used; wide windows are short of registers.
template <int W> constexpr int kUnrolledFor = W <= 4 ? 4 : 2;

// sigmoid is 1 / (1 + exp(-x)).
__device__ __forceinline__ float sigmoid(float x) { return 1.0f / (1.0f + __expf(-x)); }

template <int N> __device__ __forceinline__ void zero(float (&x)[N]) {
#pragma unroll
  for (int n = 0; n < N; n++) {
    x[n] = 0;
  }
}

// Row is one row of the batch, seen by the thread of N channels.
template <typename T, int N> struct Row {
  const T *x;           // of token 0
  const T *window;      // of its first entry
  const int *documents; // of token 0
  int batch, channel;

  __device__ __forceinline__ Row(const T *x, const int *documents, const T *window, int batch, int channel)
      : x(x + (long long)batch * kTime * kStride + kOffset + channel),
        window(window + (long long)batch * (kTaps - 1) * kInner + channel),
        documents(documents + (long long)batch * kTime), batch(batch), channel(channel) {}

  __device__ __forceinline__ Lanes<T, N> token(int time) const {
    return Lanes<T, N>::load(x + (long long)time * kStride);
  }

  // before is a token that may lie before the row.
  __device__ __forceinline__ Lanes<T, N> before(int time) const {
    if (time >= 0) {
      return token(time);
    }
    const int entry = time + kTaps - 1;
    return kWindow && entry >= 0 ? Lanes<T, N>::load(window + (long long)entry * kInner) : Lanes<T, N>::zero();
  }

  __device__ __forceinline__ int document(int time) const { return kDocuments ? documents[max(time, 0)] : 0; }
};

// Past is the last W tokens of a row, the newest last, with the weights that the newest token's output gives them.
template <typename T, int W, int N> struct Past {
  float weight[W][N]; // the last kTaps are real, those before are zero
  float bias[N];
  float x[W][N];
  int document[W];

  __device__ __forceinline__ Past(const Row<T, N> &row, const float *weights, const float *biases, int first) {
    read<f32, N>(biases + row.channel, bias);
#pragma unroll
    for (int w = 0; w < W; w++) {
      const int tap = w - (W - kTaps);
      if (tap >= 0) {
        read<f32, N>(weights + (long long)tap * kInner + row.channel, weight[w]);
      } else {
        zero(weight[w]);
      }
    }
#pragma unroll
    for (int w = 1; w < W; w++) { // one short of full: push moves these to their places
      row.before(first - W + w).unpack(x[w]);
      document[w] = row.document(first - W + w);
    }
  }

  __device__ __forceinline__ void push(const Lanes<T, N> &newest, int newestDocument) {
#pragma unroll
    for (int w = 1; w < W; w++) {
      document[w - 1] = document[w];
#pragma unroll
      for (int n = 0; n < N; n++) {
        x[w - 1][n] = x[w][n];
      }
    }
    newest.unpack(x[W - 1]);
    document[W - 1] = newestDocument;
  }

  // oneDocument: no term of any kind has to be left out.
  __device__ __forceinline__ bool oneDocument() const {
    bool one = kTaps == W;
#pragma unroll
    for (int w = 1; w < W; w++) {
      one = one && document[w] == document[0];
    }
    return one;
  }

  // counts tells whether the newest token's output has a term for token w.
  __device__ __forceinline__ bool counts(int w) const { return w >= W - kTaps && document[w] == document[W - 1]; }

  // output is y of the newest token.
  __device__ __forceinline__ void output(bool one, float (&y)[N]) const {
#pragma unroll
    for (int n = 0; n < N; n++) {
      y[n] = bias[n];
    }
#pragma unroll
    for (int w = 0; w < W; w++) {
      if (one || counts(w)) {
#pragma unroll
        for (int n = 0; n < N; n++) {
          y[n] = fmaf(weight[w][n], x[w][n], y[n]);
        }
      }
    }
  }
};
