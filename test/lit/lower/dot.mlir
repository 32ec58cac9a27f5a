// RUN: moec-opt %s --moec-nvvm="options=target=sm_80;num_warps=4;num_stages=3" | FileCheck %s
// RUN: moec-translate --target sm_80 --emit ptx --options "num_warps=4;num_stages=3" %s | FileCheck %s --check-prefix=PTX

!v = !tile.view<bf16, sizes = [16, 16], strides = [8, 0], align = 16, wide = false>
!f = !tile.view<f32, sizes = [16, 16], strides = [4, 0], align = 16, wide = false>

// 16-bit operands: cp.async of 16 bytes into swizzled stages, ldmatrix x4, mma.sync; one barrier per turn of the loop.
// CHECK-LABEL: llvm.func @gemm
// CHECK-DAG: nvvm.cp.async.shared.global %{{.*}}, %{{.*}}, 16, cache = cg
// CHECK: nvvm.cp.async.wait.group 1
// CHECK: nvvm.barrier
// CHECK: nvvm.ldmatrix %{{.*}} {{{.*}}num = 4
// CHECK: nvvm.mma.sync {{.*}}#nvvm.mma_type<bf16>{{.*}}#nvvm.shape<m = 16, n = 8, k = 16>
// CHECK: nvvm.cp.async.wait.group 0
// PTX: cp.async.cg.shared.global
// PTX: ldmatrix.sync.aligned.m8n8.x4.shared.b16
// PTX-COUNT-16: mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32
// PTX: st.global.v4.b32
tile.kernel @gemm(%a: !v, %b: !v, %c: !v) {
  %m = tile.dim %a, 0 : !v
  %k = tile.dim %a, 1 : !v
  %n = tile.dim %b, 0 : !v
  tile.expect %b, [%n, %k] : !v
  tile.expect %c, [%m, %n] : !v
  %c64 = arith.constant 64 : i32
  %c32 = arith.constant 32 : i32
  %c0 = arith.constant 0 : i32
  tile.grid %m, %n
  %p = tile.program_id 0
  %q = tile.program_id 1
  %row = arith.muli %p, %c64 : i32
  %col = arith.muli %q, %c64 : i32
  %z = arith.constant dense<0.0> : tensor<64x64xf32>
  %r = scf.for %i = %c0 to %k step %c32 iter_args(%acc = %z) -> tensor<64x64xf32> : i32 {
    %x = tile.block_load %a[%row, %i : i32, i32] : !v -> tensor<64x32xbf16>
    %y = tile.block_load %b[%col, %i : i32, i32] : !v -> tensor<64x32xbf16>
    %yt = tile.trans %y, [1, 0] : tensor<64x32xbf16> -> tensor<32x64xbf16>
    %d = tile.dot %x, %yt, %acc : tensor<64x32xbf16>, tensor<32x64xbf16> -> tensor<64x64xf32>
    scf.yield %d : tensor<64x64xf32>
  }
  %o = tile.cast %r : tensor<64x64xf32> -> tensor<64x64xbf16>
  tile.block_store %c[%row, %col : i32, i32], %o : !v, tensor<64x64xbf16>
  tile.return
}
