// The road is wide enough for Hopper: a hand-written tilegpu kernel, C[128,128] = A[128,K] * transposed B[128,K] in bf16, TMA into four stages
// that mbarriers guard (K >= 192), two warpgroups of wgmma. From allocation to a cubin without a spill.
// REQUIRES: cuda
// RUN: moec-translate --target sm_90a --options "num_warps=8;verify_each=1" --emit nvvm %s | FileCheck %s --check-prefix=NVVM
// RUN: moec-translate --target sm_90a --options "num_warps=8;verify_each=1" --emit ptx %s | FileCheck %s --check-prefix=PTX
// RUN: moec-translate --target sm_90a --options "num_warps=8" --emit resources %s 2>&1 | FileCheck %s --check-prefix=RES
// RUN: not moec-translate --target sm_100a --options "num_warps=8" --emit ptx %s 2>&1 | FileCheck %s --check-prefix=OTHER

// NVVM: llvm.func @gemm(%{{.*}}: !llvm.ptr {llvm.align = 64 : i64, llvm.byval = !llvm.array<128 x i8>, nvvm.grid_constant}

// PTX: .param .align 64 .b8 gemm_param_0[128]
// PTX: mbarrier.init.shared.b64
// PTX: fence.mbarrier_init.release.cluster
// PTX: bar.sync 0
// PTX: mbarrier.arrive.expect_tx.shared.b64
// PTX: cp.async.bulk.tensor.2d.shared::cta.global{{.*}}mbarrier::complete_tx::bytes
// PTX: mbarrier.try_wait.parity
// PTX: wgmma.fence.sync.aligned
// PTX-COUNT-4: wgmma.mma_async.sync.aligned.m64n128k16.f32.bf16.bf16
// PTX: wgmma.commit_group.sync.aligned
// PTX: wgmma.wait_group.sync.aligned 0
// PTX: st.global

// RES-NOT: warning
// RES-DAG: "shared_bytes":131
// RES-DAG: "spill_bytes":0
// RES-DAG: "threads":256

// OTHER: 'tilegpu.mbarrier_init' exists on sm_90a only

#swizzle = #tilegpu.swizzled<vec = 8, per_phase = 1, max_phase = 8, order = [1, 0]>
#plain = #tilegpu.swizzled<vec = 1, per_phase = 1, max_phase = 1, order = [0]>
#mma = #tilegpu.mma<warps = [8, 1]>
#cols = #tilegpu.slice<dim = 0, size = 128, parent = #mma>
#rows = #tilegpu.slice<dim = 1, size = 128, parent = #mma>
!tile_buffer = !tilegpu.buffer<[128, 64] x bf16, stages = 4, #swizzle>
!barriers = !tilegpu.buffer<[1] x i64, stages = 4, #plain>
!map = !tilegpu.tensormap<[128, 64] x bf16>
!acc = tensor<128x128xf32, #mma>

tile.kernel @gemm(%amap: !map, %bmap: !map, %c: !tile.ptr<f32, 16>, %steps: i32, %stride: i32) {
  %c0 = arith.constant 0 : i32
  %c1 = arith.constant 1 : i32
  %c2 = arith.constant 2 : i32
  %c3 = arith.constant 3 : i32
  %c4 = arith.constant 4 : i32
  %c64 = arith.constant 64 : i32
  %c128 = arith.constant 128 : i32
  %pm = tile.program_id 0
  %pn = tile.program_id 1
  %m0 = arith.muli %pm, %c128 : i32
  %n0 = arith.muli %pn, %c128 : i32
  %a = tilegpu.alloc : !tile_buffer
  %b = tilegpu.alloc : !tile_buffer
  %full = tilegpu.alloc : !barriers
  tilegpu.mbarrier_init %full, 1 : !barriers

  // Three tiles ahead.
  scf.for %k = %c0 to %c3 step %c1 : i32 {
    %x = arith.muli %k, %c64 : i32
    tilegpu.mbarrier_expect %full[%k], 32768 : !barriers
    tilegpu.tma_load %amap[%x, %m0] to %a[%k], %full[%k] : !map, !tile_buffer, !barriers
    tilegpu.tma_load %bmap[%x, %n0] to %b[%k], %full[%k] : !map, !tile_buffer, !barriers
  }
  %zero = arith.constant 0.0 : f32
  %acc0 = tile.splat %zero : f32 -> !acc
  %sum = scf.for %k = %c0 to %steps step %c1 iter_args(%acc = %acc0) -> (!acc) : i32 {
    %stage = arith.remui %k, %c4 : i32
    %turn = arith.divui %k, %c4 : i32
    %parity = arith.remui %turn, %c2 : i32
    tilegpu.mbarrier_wait %full[%stage], %parity : !barriers
    tilegpu.wgmma_fence
    %started = tilegpu.wgmma %a[%stage], %b[%stage], %acc : !tile_buffer, !tile_buffer -> !acc
    tilegpu.wgmma_commit
    %done = tilegpu.wgmma_wait %started, 0 : !acc
    // All warps are done with the stage that is filled next: the one of the last turn.
    tilegpu.barrier
    %next = arith.addi %k, %c3 : i32
    %more = arith.cmpi slt, %next, %steps : i32
    scf.if %more {
      %to = arith.remui %next, %c4 : i32
      %x = arith.muli %next, %c64 : i32
      tilegpu.mbarrier_expect %full[%to], 32768 : !barriers
      tilegpu.tma_load %amap[%x, %m0] to %a[%to], %full[%to] : !map, !tile_buffer, !barriers
      tilegpu.tma_load %bmap[%x, %n0] to %b[%to], %full[%to] : !map, !tile_buffer, !barriers
    }
    scf.yield %done : !acc
  }

  %r = tile.arange 0 : tensor<128xi32, #rows>
  %q = tile.arange 0 : tensor<128xi32, #cols>
  %r2 = tile.expand_dims %r, 1 : tensor<128xi32, #rows> -> tensor<128x1xi32, #mma>
  %q2 = tile.expand_dims %q, 0 : tensor<128xi32, #cols> -> tensor<1x128xi32, #mma>
  %stride2 = tile.splat %stride : i32 -> tensor<128x1xi32, #mma>
  %roff = arith.muli %r2, %stride2 : tensor<128x1xi32, #mma>
  %rb = tile.broadcast %roff : tensor<128x1xi32, #mma> -> tensor<128x128xi32, #mma>
  %qb = tile.broadcast %q2 : tensor<1x128xi32, #mma> -> tensor<128x128xi32, #mma>
  %off = arith.addi %rb, %qb : tensor<128x128xi32, #mma>
  %rowStart = arith.muli %m0, %stride : i32
  %start = arith.addi %rowStart, %n0 : i32
  %to = tile.addptr %c, %start : !tile.ptr<f32, 16>, i32
  tile.store %to[%off : tensor<128x128xi32, #mma>], %sum : !acc : !tile.ptr<f32>
  tile.return
}
