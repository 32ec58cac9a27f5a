// Structured control flow becomes blocks; carried tiles are their arguments.
// RUN: moec-opt %s -split-input-file --pass-pipeline="builtin.module(tilegpu-lower-to-nvvm{num-warps=1})" | FileCheck %s

// Bounds unknown: one test before the loop, one at its end, which asks ptxas not to unroll.
// CHECK-LABEL: llvm.func @loop
// CHECK: %[[RUNS:.*]] = llvm.icmp "slt" %[[ZERO:[0-9]+]], %arg1
// CHECK: llvm.cond_br %[[RUNS]], ^[[HEAD:bb[0-9]+]](%[[ZERO]], %{{.*}} : i32, i32), ^[[EXIT:bb[0-9]+]](%{{.*}} : i32)
// CHECK: ^[[HEAD]](%[[I:[0-9]+]]: i32, %[[ACC:[0-9]+]]: i32):
// CHECK: %[[SUM:.*]] = llvm.add %[[ACC]], %[[I]]
// CHECK: %[[NEXT:.*]] = llvm.add %[[I]],
// CHECK: llvm.cond_br %{{.*}}, ^[[HEAD]](%[[NEXT]], %[[SUM]] : i32, i32), ^[[EXIT]](%[[SUM]] : i32) {loop_annotation = #{{.*}}}
// CHECK: ^[[EXIT]](%[[R:.*]]: i32):
// CHECK: llvm.store %[[R]]
tile.kernel @loop(%y: !tile.ptr<i32>, %n: i32) {
  %c0 = arith.constant 0 : i32
  %c1 = arith.constant 1 : i32
  %r = scf.for %i = %c0 to %n step %c1 iter_args(%acc = %c0) -> (i32) : i32 {
    %s = arith.addi %acc, %i : i32
    scf.yield %s : i32
  }
  tile.store %y[%c0 : i32], %r : i32 : !tile.ptr<i32>
  tile.return
}

// -----
// Known to run once: no loop at all.
// CHECK-LABEL: llvm.func @once
// CHECK-NOT: llvm.cond_br %{{.*}}loop_annotation
// CHECK: llvm.store
// CHECK-NOT: loop_annotation
tile.kernel @once(%y: !tile.ptr<i32>) {
  %c0 = arith.constant 0 : i32
  %c64 = arith.constant 64 : i32
  scf.for %i = %c0 to %c64 step %c64 : i32 {
    tile.store %y[%i : i32], %i : i32 : !tile.ptr<i32>
  }
  tile.return
}

// -----
#v2 = #tilegpu.blocked<size = [2], threads = [32], warps = [1], order = [0]>
// CHECK-LABEL: llvm.func @branch
// CHECK: llvm.cond_br %{{.*}}, ^[[THEN:bb.*]], ^[[ELSE:bb.*]]
// CHECK: ^[[THEN]]:
// CHECK: llvm.br ^[[JOIN:bb.*]](%{{.*}}, %{{.*}} : f32, f32)
// CHECK: ^[[ELSE]]:
// CHECK: llvm.br ^[[JOIN]](%{{.*}}, %{{.*}} : f32, f32)
// CHECK: ^[[JOIN]](%{{.*}}: f32, %{{.*}}: f32):
tile.kernel @branch(%x: !tile.ptr<f32, 16>, %p: i1) {
  %i = tile.arange 0 : tensor<64xi32, #v2>
  %v = tile.load %x[%i : tensor<64xi32, #v2>] : !tile.ptr<f32, 16> -> tensor<64xf32, #v2>
  %r = scf.if %p -> (tensor<64xf32, #v2>) {
    %d = arith.addf %v, %v : tensor<64xf32, #v2>
    scf.yield %d : tensor<64xf32, #v2>
  } else {
    %m = arith.mulf %v, %v : tensor<64xf32, #v2>
    scf.yield %m : tensor<64xf32, #v2>
  }
  tile.store %x[%i : tensor<64xi32, #v2>], %r : tensor<64xf32, #v2> : !tile.ptr<f32, 16>
  tile.return
}

// -----
// CHECK-LABEL: llvm.func @spin
// CHECK: llvm.br ^[[TEST:bb.*]](%{{.*}} : i32)
// CHECK: ^[[TEST]](%[[X:.*]]: i32):
// CHECK: llvm.cond_br %{{.*}}, ^[[BODY:bb.*]](%[[X]] : i32), ^[[EXIT:bb.*]](%[[X]] : i32)
// CHECK: ^[[BODY]](
// CHECK: llvm.br ^[[TEST]](%{{.*}} : i32) {loop_annotation
// CHECK: ^[[EXIT]](
tile.kernel @spin(%y: !tile.ptr<i32>, %n: i32) {
  %c1 = arith.constant 1 : i32
  %c0 = arith.constant 0 : i32
  %r = scf.while (%x = %c1) : (i32) -> i32 {
    %go = arith.cmpi slt, %x, %n : i32
    scf.condition(%go) %x : i32
  } do {
  ^bb0(%x: i32):
    %d = arith.addi %x, %x : i32
    scf.yield %d : i32
  }
  tile.store %y[%c0 : i32], %r : i32 : !tile.ptr<i32>
  tile.return
}

// -----
// CHECK-LABEL: llvm.func @effects
// CHECK: llvm.cond_br %{{.*}}, ^[[GO:bb[0-9]+]], ^[[FAIL:bb[0-9]+]]
// CHECK: ^[[FAIL]]:
// CHECK-NEXT: llvm.intr.trap {moec.message = "n must be even"}
// CHECK: ^[[GO]]:
// CHECK: nvvm.bar.warp.sync
tile.kernel @effects(%n: i32) {
  %c1 = arith.constant 1 : i32
  %c0 = arith.constant 0 : i32
  %low = arith.andi %n, %c1 : i32
  %even = arith.cmpi eq, %low, %c0 : i32
  tile.assert %even, "n must be even" : i1
  tile.barrier
  tile.return
}

// -----

// What an assertion prints is given to a function that only the simulator knows.
// CHECK-LABEL: llvm.func @printed
// CHECK-SAME: (%[[N:.*]]: i32, %[[M:.*]]: i64)
// CHECK: llvm.cond_br %{{.*}}, ^{{bb[0-9]+}}, ^[[FAIL:bb[0-9]+]]
// CHECK: ^[[FAIL]]:
// CHECK-NEXT: %[[WIDE:.*]] = llvm.sext %[[N]] : i32 to i64
// CHECK-NEXT: llvm.call @moec_assert_values(%[[WIDE]], %[[M]])
// CHECK-NEXT: llvm.intr.trap {moec.message = "{0} is not below {1}"}
tile.kernel @printed(%n: i32, %m: i64) {
  %w = arith.extsi %n : i32 to i64
  %less = arith.cmpi slt, %w, %m : i64
  tile.assert %less, "{0} is not below {1}"(%n, %m : i32, i64) : i1
  tile.return
}
