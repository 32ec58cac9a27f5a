// tile.reduce: registers, then lanes, then warps, in index order.
// RUN: moec-opt %s --split-input-file --pass-pipeline="builtin.module(tilegpu-allocate-shared{num-warps=4},tile.kernel(tilegpu-insert-barriers{num-warps=4}),tilegpu-lower-to-nvvm{num-warps=4})" | FileCheck %s

// A row per warp, four neighbours per thread: in-thread pairs, then five butterflies. No shared memory, no barrier.
// CHECK-LABEL: module attributes {tilegpu.shared_bytes = 0
// CHECK: %[[V:.*]] = llvm.load {{.*}} -> vector<4xf32>
// CHECK: %[[S01:.*]] = llvm.fadd
// CHECK: %[[S23:.*]] = llvm.fadd
// CHECK: %[[S:.*]] = llvm.fadd %[[S01]], %[[S23]] : f32
// CHECK-COUNT-5: nvvm.shfl.sync bfly
// CHECK-NOT: nvvm.barrier
// CHECK-NOT: llvm.select
// CHECK: llvm.return
#in = #tilegpu.blocked<size = [1, 4], threads = [1, 32], warps = [4, 1], order = [1, 0]>
#flat = #tilegpu.linear<"register = [[1], [2]], lane = [[4], [8], [16], [32], [64]], warp = [[128], [256]]">
#out = #tilegpu.slice<dim = 1, size = 128, parent = #in>
tile.kernel @rows(%x: !tile.ptr<f32, 16>, %y: !tile.ptr<f32, 16>) {
  %i = tile.arange 0 : tensor<512xi32, #flat>
  %o = tile.reshape %i : tensor<512xi32, #flat> -> tensor<4x128xi32, #in>
  %v = tile.load %x[%o : tensor<4x128xi32, #in>] : !tile.ptr<f32, 16> -> tensor<4x128xf32, #in>
  %s = "tile.reduce"(%v) <{axis = 1 : i32}> ({
  ^bb0(%a: f32, %b: f32):
    %c = arith.addf %a, %b : f32
    tile.yield %c : f32
  }) : (tensor<4x128xf32, #in>) -> tensor<4xf32, #out>
  %oi = tile.arange 0 : tensor<4xi32, #out>
  tile.store %y[%oi : tensor<4xi32, #out>], %s : tensor<4xf32, #out> : !tile.ptr<f32, 16>
  tile.return
}

// -----

// All 512 elements of a block: one value per warp goes through 16 bytes of shared memory, everybody reads all of it at once.
// CHECK-LABEL: module attributes {tilegpu.shared_bytes = 16
// CHECK-COUNT-5: nvvm.shfl.sync bfly
// CHECK: llvm.cond_br
// CHECK: llvm.store {{.*}} {alignment = 4 : i64} : f32, !llvm.ptr<3>
// CHECK: nvvm.barrier0
// CHECK: llvm.load {{.*}} {alignment = 16 : i64} : !llvm.ptr<3> -> vector<4xf32>
// CHECK-COUNT-3: llvm.fadd
// CHECK-NOT: nvvm.barrier0
// CHECK: llvm.return
#flat = #tilegpu.linear<"register = [[1], [2]], lane = [[4], [8], [16], [32], [64]], warp = [[128], [256]]">
tile.kernel @block(%x: !tile.ptr<f32, 16>, %y: !tile.ptr<f32, 16>) {
  %zero = arith.constant 0 : i32
  %i = tile.arange 0 : tensor<512xi32, #flat>
  %v = tile.load %x[%i : tensor<512xi32, #flat>] : !tile.ptr<f32, 16> -> tensor<512xf32, #flat>
  %s = "tile.reduce"(%v) <{axis = 0 : i32}> ({
  ^bb0(%a: f32, %b: f32):
    %c = arith.addf %a, %b : f32
    tile.yield %c : f32
  }) : (tensor<512xf32, #flat>) -> f32
  tile.store %y[%zero : i32], %s : f32 : !tile.ptr<f32, 16>
  tile.return
}

// -----

// Integers may be combined in any order: one redux over the warp.
// CHECK-LABEL: llvm.func @redux
// CHECK: llvm.intr.smax
// CHECK-NOT: nvvm.shfl
// CHECK: nvvm.redux.sync max
// CHECK-NOT: nvvm.shfl
// CHECK: llvm.return
#flat = #tilegpu.linear<"register = [[1]], lane = [[2], [4], [8], [16], [32]], warp = [[0], [0]]">
tile.kernel @redux(%x: !tile.ptr<i32, 16>, %y: !tile.ptr<i32, 16>) {
  %zero = arith.constant 0 : i32
  %i = tile.arange 0 : tensor<64xi32, #flat>
  %v = tile.load %x[%i : tensor<64xi32, #flat>] : !tile.ptr<i32, 16> -> tensor<64xi32, #flat>
  %s = "tile.reduce"(%v) <{axis = 0 : i32}> ({
  ^bb0(%a: i32, %b: i32):
    %c = arith.maxsi %a, %b : i32
    tile.yield %c : i32
  }) : (tensor<64xi32, #flat>) -> i32
  tile.store %y[%zero : i32], %s : i32 : !tile.ptr<i32, 16>
  tile.return
}

// -----

// "Is any set": a vote.
// CHECK-LABEL: llvm.func @any
// CHECK: nvvm.vote.sync any
// CHECK-NOT: nvvm.shfl
// CHECK: llvm.return
#flat = #tilegpu.linear<"register = [], lane = [[1], [2], [4], [8], [16]], warp = [[0], [0]]">
tile.kernel @any(%x: !tile.ptr<i32, 16>, %y: !tile.ptr<i32, 16>) {
  %zero = arith.constant 0 : i32
  %i = tile.arange 0 : tensor<32xi32, #flat>
  %v = tile.load %x[%i : tensor<32xi32, #flat>] : !tile.ptr<i32, 16> -> tensor<32xi32, #flat>
  %t = tile.cast %v : tensor<32xi32, #flat> -> tensor<32xi1, #flat>
  %s = "tile.reduce"(%t) <{axis = 0 : i32}> ({
  ^bb0(%a: i1, %b: i1):
    %c = arith.ori %a, %b : i1
    tile.yield %c : i1
  }) : (tensor<32xi1, #flat>) -> i1
  %r = tile.cast %s : i1 -> i32
  tile.store %y[%zero : i32], %r : i32 : !tile.ptr<i32, 16>
  tile.return
}

// -----

// Where the sides matter, the lane whose index bit is set has its own value on the right.
// CHECK-LABEL: llvm.func @sides
// CHECK: %[[OTHER:.*]] = nvvm.shfl.sync bfly %{{.*}}, %[[OWN:.*]], %{{.*}}, %{{.*}} : i32 -> i32
// CHECK-NEXT: %[[BIT:.*]] = llvm.and
// CHECK-NEXT: %[[RIGHT:.*]] = llvm.icmp "ne" %[[BIT]]
// CHECK-NEXT: %[[A:.*]] = llvm.select %[[RIGHT]], %[[OTHER]], %[[OWN]] : i1, i32
// CHECK-NEXT: %[[B:.*]] = llvm.select %[[RIGHT]], %[[OWN]], %[[OTHER]] : i1, i32
// CHECK-NEXT: llvm.sub %[[A]], %[[B]]
#flat = #tilegpu.linear<"register = [], lane = [[1], [2], [0], [0], [0]], warp = [[0], [0]]">
tile.kernel @sides(%x: !tile.ptr<i32, 16>, %y: !tile.ptr<i32, 16>) {
  %zero = arith.constant 0 : i32
  %i = tile.arange 0 : tensor<4xi32, #flat>
  %v = tile.load %x[%i : tensor<4xi32, #flat>] : !tile.ptr<i32, 16> -> tensor<4xi32, #flat>
  %s = "tile.reduce"(%v) <{axis = 0 : i32}> ({
  ^bb0(%a: i32, %b: i32):
    %c = arith.subi %a, %b : i32
    tile.yield %c : i32
  }) : (tensor<4xi32, #flat>) -> i32
  tile.store %y[%zero : i32], %s : i32 : !tile.ptr<i32, 16>
  tile.return
}

// -----

// 8 blocks of 4 per thread: at each lane level a lane makes half of the sums, 4 + 2 + 1 + 1 + 1 shuffles, then 3 for the blocks, which are in
// lanes by now; not 8 * 5.
// CHECK-LABEL: llvm.func @wide
// CHECK-COUNT-12: nvvm.shfl.sync bfly
// CHECK-NOT: nvvm.shfl
// CHECK: llvm.return
#l = #tilegpu.linear<"register = [[1], [2], [128], [256], [512]], lane = [[4], [8], [16], [32], [64]], warp = [[0], [0]]">
tile.kernel @wide(%x: !tile.ptr<f32, 16>, %y: !tile.ptr<f32, 16>) {
  %zero = arith.constant 0 : i32
  %i = tile.arange 0 : tensor<1024xi32, #l>
  %v = tile.load %x[%i : tensor<1024xi32, #l>] : !tile.ptr<f32, 16> -> tensor<1024xf32, #l>
  %s = "tile.reduce"(%v) <{axis = 0 : i32}> ({
  ^bb0(%a: f32, %b: f32):
    %c = arith.addf %a, %b : f32
    tile.yield %c : f32
  }) : (tensor<1024xf32, #l>) -> f32
  tile.store %y[%zero : i32], %s : f32 : !tile.ptr<f32, 16>
  tile.return
}
