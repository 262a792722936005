// Adds up what the blocks of scan_backward left: the end of the backward pass of the selective scan.
//
// Entries, for D in bf16, f16, f32 (dB, dC):
//   scan_sum_D
//
// Arguments: partial dB and dC f32 [P,B,T,2,N], partial dA f32 [G,B,N,I], partial dD and dbias f32 [G,B,2,I];
//            then dB, dC [B,T,N], dA f32 [N,I], dD f32 [I], dbias f32 [I].
//
// Launch: block (256,1,1), grid (ceil(B·T·N / 256) + ceil((N+2)·I / 256), 1, 1): first the blocks of dB and dC, a pair of
// numbers a thread, then those of dA, dD and dbias.
#include "scan.cuh"

extern "C" __constant__ int kParts = 0x7A00000D; // P

#define SUM_ENTRY_JOIN(type) scan_sum_##type
#define SUM_ENTRY(type) SUM_ENTRY_JOIN(type)

constexpr int kThreads = 256;

static __device__ __forceinline__ void sum_parts(const float* partial, Element* db, Element* dc, Index pair, Index pairs) {
  const float2* from = reinterpret_cast<const float2*>(partial) + pair;
  float2 sum = make_float2(0.0f, 0.0f);
#pragma unroll 8
  for (int part = 0; part < kParts; part++) {
    float2 x = from[part * pairs];
    sum.x += x.x, sum.y += x.y;
  }
  const float value[2] = {sum.x, sum.y};
#pragma unroll
  for (int e = 0; e < 2; e++) {
    Index at = 2 * pair + e, row = at / (2 * kStates);
    int n = int(at - row * 2 * kStates);
    Element* to = n < kStates ? db : dc;
    to[row * kStates + (n < kStates ? n : n - kStates)] = narrow(value[e]);
  }
}

extern "C" __global__ void __launch_bounds__(kThreads)
SUM_ENTRY(TYPE_NAME)(const float* partial_bc, const float* partial_a, const float* partial_d, Element* db, Element* dc,
                     float* da, float* dskip, float* dbias) {
  const Index pairs = Index(kBatch) * kTime * kStates;
  const Index blocks = (pairs + kThreads - 1) / kThreads;
  if (blockIdx.x < blocks) {
    Index pair = Index(blockIdx.x) * kThreads + threadIdx.x;
    if (pair < pairs) sum_parts(partial_bc, db, dc, pair, pairs);
    return;
  }
  Index e = (Index(blockIdx.x) - blocks) * kThreads + threadIdx.x;
  const Index states = Index(kStates) * kInner;
  if (e >= states + 2 * Index(kInner)) return;
  const bool state = e < states;
  const float* from = state ? partial_a + e : partial_d + (e - states);
  const Index plane = state ? states : 2 * Index(kInner);
  float sum = 0.0f;
#pragma unroll 4
  for (int part = 0; part < kSegments * kBatch; part++) sum += from[part * plane];
  if (state) da[e] = sum;
  else if (e - states < kInner) dskip[e - states] = sum;
  else dbias[e - states - kInner] = sum;
}
