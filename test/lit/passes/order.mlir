// RUN: moec-opt %s --tilegpu-allocate-shared=num-warps=4 --tilegpu-insert-barriers=num-warps=4 | FileCheck %s

// All threads load the scalar before one replaces it; another argument's memory is not waited for.
// CHECK-LABEL: tile.kernel @replace
// CHECK: tile.load
// CHECK-NEXT: arith.addi
// CHECK-NEXT: tile.store %arg1
// CHECK-NEXT: tilegpu.barrier
// CHECK-NEXT: tile.store %arg0
// CHECK-NEXT: tile.store %arg0
// CHECK-NOT: tilegpu.barrier
tile.kernel @replace(%p: !tile.ptr<i32>, %q: !tile.ptr<i32>) {
  %c0 = arith.constant 0 : i32
  %c1 = arith.constant 1 : i32
  %n = tile.load %p[%c0 : i32] : !tile.ptr<i32> -> i32
  %next = arith.addi %n, %c1 : i32
  tile.store %q[%c0 : i32], %next : i32 : !tile.ptr<i32>
  tile.store %p[%c0 : i32], %next : i32 : !tile.ptr<i32>
  tile.store %p[%c1 : i32], %next : i32 : !tile.ptr<i32>
  tile.return
}

// Atomics through a moved pointer too, and those of the next turn of a loop.
// CHECK-LABEL: tile.kernel @loop
// CHECK: scf.for
// CHECK: tilegpu.barrier
// CHECK-NEXT: tile.atomic_rmw
// CHECK: tile.load
tile.kernel @loop(%p: !tile.ptr<i32>) {
  %c0 = arith.constant 0 : i32
  %c1 = arith.constant 1 : i32
  %c8 = arith.constant 8 : i32
  %moved = tile.addptr %p, %c1 : !tile.ptr<i32>, i32
  scf.for %k = %c0 to %c8 step %c1 : i32 {
    %old = tile.atomic_rmw add, %moved[%c0 : i32], %c1 : !tile.ptr<i32>, i32 -> i32
    %n = tile.load %p[%old : i32] : !tile.ptr<i32> -> i32
  }
  tile.return
}
