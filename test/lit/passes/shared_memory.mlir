// RUN: moec-opt %s --pass-pipeline="builtin.module(tilegpu-allocate-shared,tile.kernel(tilegpu-insert-barriers))" | FileCheck %s

#rows = #tilegpu.blocked<size = [1, 8], threads = [8, 4], warps = [4, 1], order = [1, 0]>
#plain = #tilegpu.swizzled<vec = 8, per_phase = 2, max_phase = 4, order = [1, 0]>
!buf = !tilegpu.buffer<[32, 32] x f16, stages = 1, #plain>
!two = !tilegpu.buffer<[32, 32] x f16, stages = 2, #plain>

// Buffers that live at the same time lie apart; one that begins after another's end takes its place.
// CHECK: module attributes {tilegpu.shared_bytes = 4096 : i32}
// CHECK-LABEL: tile.kernel @reuse
// CHECK: tilegpu.alloc {offset = [[A:[0-9]+]] : i32}
// CHECK: tilegpu.alloc {offset = [[B:[0-9]+]] : i32}
tile.kernel @reuse(%x: !tile.ptr<f16, 16>) {
  %c0 = arith.constant 0 : i32
  %o = arith.constant dense<0> : tensor<32x32xi32, #rows>
  %v = tile.load %x[%o : tensor<32x32xi32, #rows>] : !tile.ptr<f16, 16> -> tensor<32x32xf16, #rows>
  %a = tilegpu.alloc : !buf
  tilegpu.local_store %v, %a[%c0] : tensor<32x32xf16, #rows>, !buf
  %b = tilegpu.alloc : !buf
  // CHECK: tilegpu.local_store
  // CHECK-NEXT: tilegpu.barrier
  // CHECK-NEXT: tilegpu.local_load
  tilegpu.local_store %v, %b[%c0] : tensor<32x32xf16, #rows>, !buf
  %r = tilegpu.local_load %a[%c0] : !buf -> tensor<32x32xf16, #rows>
  // Already behind a barrier.
  // CHECK-NOT: tilegpu.barrier
  // CHECK: tilegpu.local_load
  %s = tilegpu.local_load %b[%c0] : !buf -> tensor<32x32xf16, #rows>
  // CHECK: tilegpu.alloc {offset = [[A]] : i32}
  %c = tilegpu.alloc : !buf
  // The third buffer lies where the first was read.
  // CHECK: tilegpu.barrier
  // CHECK-NEXT: tilegpu.local_store
  tilegpu.local_store %s, %c[%c0] : tensor<32x32xf16, #rows>, !buf
  // CHECK: tilegpu.barrier
  // CHECK-NEXT: tilegpu.local_load
  %t = tilegpu.local_load %c[%c0] : !buf -> tensor<32x32xf16, #rows>
  %u = arith.addf %r, %t : tensor<32x32xf16, #rows>
  tile.store %x[%o : tensor<32x32xi32, #rows>], %u : tensor<32x32xf16, #rows> : !tile.ptr<f16, 16>
  tile.return
}

// A loop's store meets the load of the turn before.
// CHECK-LABEL: tile.kernel @loop
tile.kernel @loop(%x: !tile.ptr<f16, 16>, %n: i32) {
  %c0 = arith.constant 0 : i32
  %c1 = arith.constant 1 : i32
  %o = arith.constant dense<0> : tensor<32x32xi32, #rows>
  %a = tilegpu.alloc : !buf
  // CHECK: scf.for
  scf.for %i = %c0 to %n step %c1 : i32 {
    %v = tile.load %x[%o : tensor<32x32xi32, #rows>] : !tile.ptr<f16, 16> -> tensor<32x32xf16, #rows>
    // CHECK: tilegpu.barrier
    // CHECK-NEXT: tilegpu.local_store
    // CHECK-NEXT: tilegpu.barrier
    // CHECK-NEXT: tilegpu.local_load
    tilegpu.local_store %v, %a[%c0] : tensor<32x32xf16, #rows>, !buf
    %r = tilegpu.local_load %a[%c0] : !buf -> tensor<32x32xf16, #rows>
    tile.store %x[%o : tensor<32x32xi32, #rows>], %r : tensor<32x32xf16, #rows> : !tile.ptr<f16, 16>
  }
  tile.return
}

// Asynchronous copies: one barrier per turn, after the wait and before the copy that overwrites what the last turn read.
// CHECK-LABEL: tile.kernel @async
tile.kernel @async(%x: !tile.ptr<f16, 16>, %n: i32) {
  %c0 = arith.constant 0 : i32
  %c1 = arith.constant 1 : i32
  %o = arith.constant dense<0> : tensor<32x32xi32, #rows>
  %a = tilegpu.alloc : !two
  tilegpu.async_copy %x[%o : tensor<32x32xi32, #rows>] to %a[%c0] : !tile.ptr<f16, 16>, !two
  tilegpu.async_commit
  // CHECK: scf.for
  scf.for %i = %c0 to %n step %c1 : i32 {
    // CHECK: tilegpu.async_wait 0
    // CHECK-NEXT: tilegpu.barrier
    // CHECK-NEXT: tilegpu.async_copy
    // CHECK-NEXT: tilegpu.async_commit
    // CHECK-NEXT: tilegpu.local_load
    // CHECK-NOT: tilegpu.barrier
    tilegpu.async_wait 0
    tilegpu.async_copy %x[%o : tensor<32x32xi32, #rows>] to %a[%c1] : !tile.ptr<f16, 16>, !two
    tilegpu.async_commit
    %r = tilegpu.local_load %a[%c0] : !two -> tensor<32x32xf16, #rows>
    tile.store %x[%o : tensor<32x32xi32, #rows>], %r : tensor<32x32xf16, #rows> : !tile.ptr<f16, 16>
  }
  // CHECK: tile.return
  tile.return
}

// A while loop is left behind its test: what the test read there must be read before it is overwritten.
// CHECK-LABEL: tile.kernel @while
tile.kernel @while(%x: !tile.ptr<f16, 16>) {
  %c0 = arith.constant 0 : i32
  %o = arith.constant dense<0> : tensor<32x32xi32, #rows>
  %v = tile.load %x[%o : tensor<32x32xi32, #rows>] : !tile.ptr<f16, 16> -> tensor<32x32xf16, #rows>
  %a = tilegpu.alloc : !buf
  tilegpu.local_store %v, %a[%c0] : tensor<32x32xf16, #rows>, !buf
  // CHECK: scf.while
  scf.while : () -> () {
    // CHECK: tilegpu.local_load
    %r = tilegpu.local_load %a[%c0] : !buf -> tensor<32x32xf16, #rows>
    tile.store %x[%o : tensor<32x32xi32, #rows>], %r : tensor<32x32xf16, #rows> : !tile.ptr<f16, 16>
    %again = tile.load %x[%c0 : i32] : !tile.ptr<f16, 16> -> f16
    %more = arith.cmpf one, %again, %again : f16
    scf.condition(%more)
  } do {
    // CHECK: tilegpu.barrier
    tilegpu.barrier
    scf.yield
  }
  // CHECK: tilegpu.barrier
  // CHECK-NEXT: tilegpu.local_store
  tilegpu.local_store %v, %a[%c0] : tensor<32x32xf16, #rows>, !buf
  // CHECK: tile.return
  tile.return
}
