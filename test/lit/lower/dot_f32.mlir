// RUN: moec-opt %s --moec-nvvm="options=target=sm_80;num_warps=4" | FileCheck %s
// f32 operands: no tensor core; a loop over k of one fma per element, operands from shared memory.
// CHECK-LABEL: llvm.func @dot
// CHECK: llvm.store {{.*}} !llvm.ptr<3>
// CHECK: nvvm.barrier
// CHECK: llvm.intr.fma
// CHECK-NOT: nvvm.mma
tile.kernel @dot(%p: !tile.ptr<f32, 16>) {
  %o = arith.constant dense<0> : tensor<32x32xi32>
  %a = tile.load %p[%o : tensor<32x32xi32>] : !tile.ptr<f32, 16> -> tensor<32x32xf32>
  %d = tile.dot %a, %a, %a : tensor<32x32xf32>, tensor<32x32xf32> -> tensor<32x32xf32>
  tile.store %p[%o : tensor<32x32xi32>], %d : tensor<32x32xf32> : !tile.ptr<f32, 16>
  tile.return
}
