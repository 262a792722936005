// The backward pass of the selective scan. Formulas: ../scan_gradient.go. Channels are the last axis; all arithmetic is
// float32.
//
// Entries, for D in bf16, f16, f32 (u, δ, z, B, C, dout and du, dδ, dz) and S in 16, 32, 64, 128, 256, for N ≤ S:
//   scan_backward_D_nS
//
// Arguments: u [B,T,I], δ [B,T,I], z (rows of kRowZ elements, I of them from kOffsetZ on), A f32 [N,I], B and C (rows of
//            kRowB and kRowC elements, N of them from kOffsetB and kOffsetC on), D f32 [I], bias f32 [I],
//            checkpoints f32 [B,K,N,I], marks i32 [B,T], dout [B,T,I], dlast f32 [B,N,I], carry f32 [G,B,N,I],
//            elapsed f32 [G,B,I];
//            then du, dδ, dz [B,T,I], dstart f32 [B,N,I], and for scan_sum to add up: partial dB and dC
//            f32 [P,B,T,2,N], partial dA f32 [G,B,N,I], partial dD and dbias f32 [G,B,2,I].
// K = ceil(T/32) tiles, P = ceil(I / channels). G = kSegments pieces of time of kSegmentTiles tiles each run in parallel.
// With G > 1 carry and elapsed come from scan_carry; with G = 1 they are not read: pass any buffer.
//
// Launch: block (threads,1,1), grid (P, B, G). Threads, channels and the bytes of dynamic shared memory are the kLaunch
// constants in the text.
//
// A warp has 16 channels × 16 states: a lane has 2 channels × 4 states. A tile of 32 tokens goes forward once from its
// checkpoint, keeping the states before every fourth token, and then backward four tokens at a time, their states rebuilt in
// registers. Sums over states run over lanes by shuffles. Sums over channels, for dB and dC, run on the tensor cores.
#include "scan_backward_walk.cuh"

LAUNCH(kThreads, kChannels, sizeof(Shared) + (kStateTiles > 1 ? 2 * sizeof(Sums) : 0));

// start_carried finds the gradient of a segment's last state: dlast taken back over the later segments.
static __device__ __forceinline__ void start_carried(Carried& carried, const Lane& own, const float* a, const float* dlast,
                                                     const float* carry, const float* elapsed) {
  const int batch = blockIdx.y, segment = blockIdx.z;
#pragma unroll
  for (int p = 0; p < 2; p++)
#pragma unroll
    for (int k = 0; k < 4; k++) {
      const Index at = Index(own.n0 + k) * kInner + own.i[p];
      carried.rate[p][k] = own.live(p, k) ? a[at] * kLog2E : 0.0f;
      carried.slope[p][k] = own.live(p, k) ? dlast[Index(batch) * kStates * kInner + at] : 0.0f;
      carried.da[p][k] = 0.0f;
    }
  for (int later = kSegments - 1; later > segment; later--) {
    const Index plane = Index(later) * kBatch + batch;
#pragma unroll
    for (int p = 0; p < 2; p++) {
      float span = elapsed[plane * kInner + smaller(own.i[p], kInner - 1)];
#pragma unroll
      for (int k = 0; k < 4; k++)
        if (own.live(p, k)) {
          float left = carry[(plane * kStates + own.n0 + k) * kInner + own.i[p]];
          carried.slope[p][k] = fmaf(exp2_fast(carried.rate[p][k] * span), carried.slope[p][k], left);
        }
    }
  }
}

extern "C" __global__ void __launch_bounds__(kThreads, kBlocks)
ENTRY(scan_backward, PADDED)(const Element* u, const Element* delta, const Element* z, const float* a, const Element* b,
                             const Element* c, const float* d, const float* bias, const float* checkpoints, const int* marks,
                             const Element* dout, const float* dlast, const float* carry, const float* elapsed, Element* du,
                             Element* ddelta, Element* dz, float* dstart, float* partial_bc, float* partial_a,
                             float* partial_d) {
  extern __shared__ float4 dynamic[];
  Shared& shared = *reinterpret_cast<Shared*>(dynamic);
  Sums* sums_of = reinterpret_cast<Sums*>(&shared + 1);
  const int batch = blockIdx.y, segment = blockIdx.z;
  const Mine mine(blockIdx.x);
  const Lane own(mine.whole);
  const Index rows = Index(batch) * kTime;
  const Arguments arg = {u + rows * kInner, delta + rows * kInner, z + rows * kRowZ + kOffsetZ, b + rows * kRowB + kOffsetB,
                         c + rows * kRowC + kOffsetC, dout + rows * kInner, marks + rows,
                         du + rows * kInner, ddelta + rows * kInner, dz + rows * kInner};
  partial_bc += (Index(blockIdx.x) * kBatch + batch) * kTime * 2 * kStates;
  fill_constants(shared, bias, d);
  Carried carried;
  start_carried(carried, own, a, dlast, carry, elapsed);
  float dskip[Mine::kVector] = {}, dbias[Mine::kVector] = {};
  __syncthreads();

  const int from = segment * kSegmentTiles, to = smaller(from + kSegmentTiles, tiles());
  for (int tile = to - 1; tile >= from; tile--) {
    const int t0 = tile * kTile;
    Raw raw;
    States<kThreads, kPadded> states;
    float h[2][4];
    fetch(raw, mine, arg, t0);
    states.load(arg.b, kRowB, arg.c, kRowC, t0);
    restore(h, own, checkpoints, tile);
    stage(shared, raw, mine);
    states.store(&shared.bc[0][0][0]);
    __syncthreads();
    walk_forward(shared, own, carried, h);
    walk_backward(shared, sums_of, own, carried);
    __syncthreads();
    sum_channels(shared, partial_bc, t0);
    fetch(raw, mine, arg, t0); // again, from L2: the walk has no registers to keep it in, nor to read the next tile ahead
    if (mine.whole) finish<true>(shared, raw, mine, arg, t0, dskip, dbias);
    else finish<false>(shared, raw, mine, arg, t0, dskip, dbias);
  }

  const Index plane = Index(segment) * kBatch + batch;
#pragma unroll
  for (int p = 0; p < 2; p++)
#pragma unroll
    for (int k = 0; k < 4; k++)
      if (own.live(p, k)) {
        const Index at = Index(own.n0 + k) * kInner + own.i[p];
        partial_a[plane * kStates * kInner + at] = carried.da[p][k];
        if (segment == 0) dstart[Index(batch) * kStates * kInner + at] = carried.slope[p][k];
      }
  write_channels(shared, mine, dskip, dbias, partial_d + plane * 2 * kInner);
}
