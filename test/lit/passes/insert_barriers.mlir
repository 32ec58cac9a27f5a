// RUN: moec-opt %s --pass-pipeline="builtin.module(tile.kernel(tilegpu-insert-barriers{num-warps=4}))" | FileCheck %s

#rows = #tilegpu.blocked<size = [1, 8], threads = [8, 4], warps = [4, 1], order = [1, 0]>
#lanes = #tilegpu.blocked<size = [1], threads = [32], warps = [4], order = [0]>
#plain = #tilegpu.swizzled<vec = 8, per_phase = 2, max_phase = 4, order = [1, 0]>
!buf = !tilegpu.buffer<[32, 32] x f16, stages = 1, #plain>

// Between a write and a read of the same bytes, once; other bytes need none.
// CHECK-LABEL: tile.kernel @one_buffer
tile.kernel @one_buffer(%x: !tile.ptr<f16, 16>) {
  %c0 = arith.constant 0 : i32
  %v = arith.constant dense<1.0> : tensor<32x32xf16, #rows>
  %a = tilegpu.alloc {offset = 0 : i32} : !buf
  %b = tilegpu.alloc {offset = 2048 : i32} : !buf
  // CHECK: tilegpu.local_store
  // CHECK-NEXT: tilegpu.local_store
  // CHECK-NEXT: tilegpu.barrier
  // CHECK-NEXT: tilegpu.local_load
  // CHECK-NEXT: tilegpu.local_load
  // CHECK-NOT: tilegpu.barrier
  tilegpu.local_store %v, %a[%c0] : tensor<32x32xf16, #rows>, !buf
  tilegpu.local_store %v, %b[%c0] : tensor<32x32xf16, #rows>, !buf
  %r = tilegpu.local_load %a[%c0] : !buf -> tensor<32x32xf16, #rows>
  %s = tilegpu.local_load %b[%c0] : !buf -> tensor<32x32xf16, #rows>
  tile.return
}

// A scalar that all threads load is replaced only when all have it.
// CHECK-LABEL: tile.kernel @read_and_replaced
tile.kernel @read_and_replaced(%x: !tile.ptr<i32>) {
  %c0 = arith.constant 0 : i32
  %c1 = arith.constant 1 : i32
  // CHECK: tile.load
  // CHECK-NEXT: arith.addi
  // CHECK-NEXT: tilegpu.barrier
  // CHECK-NEXT: tile.store
  %v = tile.load %x[%c0 : i32] : !tile.ptr<i32> -> i32
  %w = arith.addi %v, %c1 : i32
  tile.store %x[%c0 : i32], %w : i32 : !tile.ptr<i32>
  tile.return
}

// One thread loads and stores each element: none waits.
// CHECK-LABEL: tile.kernel @own_elements
// CHECK-NOT: tilegpu.barrier
// CHECK: tile.return
tile.kernel @own_elements(%x: !tile.ptr<i32>) {
  %i = tile.arange 0 : tensor<128xi32, #lanes>
  %v = tile.load %x[%i : tensor<128xi32, #lanes>] : !tile.ptr<i32> -> tensor<128xi32, #lanes>
  tile.store %x[%i : tensor<128xi32, #lanes>], %v : tensor<128xi32, #lanes> : !tile.ptr<i32>
  tile.return
}
