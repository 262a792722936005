// Causal depthwise convolution with bias and SiLU: see conv.cuh.
#include "conv.cuh"

template <typename T, int W, int N>
__device__ __forceinline__ void forward(const T *x, const float *weight, const float *bias, const int *documents,
                                        const T *window, T *out) {
  constexpr int unrolled = kUnrolledFor<W>;
  const unsigned groups = kInner / N, pieces = (kTime + kSteps - 1) / kSteps;
  unsigned item = unsigned(blockIdx.x) * blockDim.x + threadIdx.x;
  const int channel = int(item % groups) * N;
  item /= groups;
  const int first = int(item % pieces) * kSteps, last = min(first + kSteps, kTime);
  item /= pieces;
  if (item >= unsigned(kBatch)) {
    return;
  }
  const Row<T, N> row(x, documents, window, int(item), channel);
  Past<T, W, N> past(row, weight, bias, first);
  out += (long long)item * kTime * kInner + channel;

  for (int start = first; start < last; start += unrolled) {
    Lanes<T, N> ahead[unrolled];
    int document[unrolled];
#pragma unroll
    for (int u = 0; u < unrolled; u++) {
      const int time = min(start + u, last - 1);
      ahead[u] = row.token(time);
      document[u] = row.document(time);
    }
#pragma unroll
    for (int u = 0; u < unrolled; u++) {
      if (start + u < last) {
        past.push(ahead[u], document[u]);
        float y[N];
        if (past.oneDocument()) {
          past.output(true, y);
        } else {
          past.output(false, y);
        }
#pragma unroll
        for (int n = 0; n < N; n++) {
          y[n] *= sigmoid(y[n]);
        }
        write<T, N>(out + (long long)(start + u) * kInner, y);
      }
    }
  }
}

#define FORWARD(name, T, W, N)                                                                                         \
  extern "C" __global__ void __launch_bounds__(128)                                                                    \
      name(const T *x, const float *weight, const float *bias, const int *documents, const T *window, T *out) {        \
    forward<T, W, N>(x, weight, bias, documents, window, out);                                                         \
  }
#define ENTRIES(T, W)                                                                                                  \
  FORWARD(conv_silu_forward_##T##_w##W, T, W, 16 / sizeof(T))                                                          \
  FORWARD(conv_silu_forward_##T##_w##W##_any, T, W, 1)

ENTRIES(bf16, 4)
ENTRIES(bf16, 8)
ENTRIES(f16, 4)
ENTRIES(f16, 8)
ENTRIES(f32, 4)
ENTRIES(f32, 8)
