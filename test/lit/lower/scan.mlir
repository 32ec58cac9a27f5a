// tile.scan in Sklansky's order.
// RUN: moec-opt %s --split-input-file --pass-pipeline="builtin.module(tilegpu-allocate-shared{num-warps=4},tile.kernel(tilegpu-insert-barriers{num-warps=4}),tilegpu-lower-to-nvvm{num-warps=4})" | FileCheck %s

// 128 sums within a warp, four per thread. Integers may be regrouped: what comes from other lanes is collected once and added at the end.
// CHECK-LABEL: llvm.func @cumsum
// CHECK-COUNT-5: nvvm.shfl.sync bfly
// CHECK-NOT: nvvm.barrier
// CHECK: llvm.store {{.*}} : vector<4xi32>, !llvm.ptr<1>
#flat = #tilegpu.linear<"register = [[1], [2]], lane = [[4], [8], [16], [32], [64]], warp = [[0], [0]]">
tile.kernel @cumsum(%x: !tile.ptr<i32, 16>, %y: !tile.ptr<i32, 16>) {
  %i = tile.arange 0 : tensor<128xi32, #flat>
  %v = tile.load %x[%i : tensor<128xi32, #flat>] : !tile.ptr<i32, 16> -> tensor<128xi32, #flat>
  %s = "tile.scan"(%v) <{axis = 0 : i32}> ({
  ^bb0(%a: i32, %b: i32):
    %c = arith.addi %a, %b : i32
    tile.yield %c : i32
  }) : (tensor<128xi32, #flat>) -> tensor<128xi32, #flat>
  tile.store %y[%i : tensor<128xi32, #flat>], %s : tensor<128xi32, #flat> : !tile.ptr<i32, 16>
  tile.return
}

// -----

// Across warps: each warp's total through shared memory, once.
// CHECK-LABEL: module attributes {tilegpu.shared_bytes = 16
// CHECK-COUNT-5: nvvm.shfl.sync bfly
// CHECK: llvm.store {{.*}} : f32, !llvm.ptr<3>
// CHECK: nvvm.barrier0
// CHECK: llvm.load {{.*}} : !llvm.ptr<3> -> vector<4xf32>
// CHECK-NOT: nvvm.barrier0
// CHECK: llvm.return
#flat = #tilegpu.linear<"register = [], lane = [[1], [2], [4], [8], [16]], warp = [[32], [64]]">
tile.kernel @across(%x: !tile.ptr<f32, 16>, %y: !tile.ptr<f32, 16>) {
  %i = tile.arange 0 : tensor<128xi32, #flat>
  %v = tile.load %x[%i : tensor<128xi32, #flat>] : !tile.ptr<f32, 16> -> tensor<128xf32, #flat>
  %s = "tile.scan"(%v) <{axis = 0 : i32}> ({
  ^bb0(%a: f32, %b: f32):
    %c = arith.addf %a, %b : f32
    tile.yield %c : f32
  }) : (tensor<128xf32, #flat>) -> tensor<128xf32, #flat>
  tile.store %y[%i : tensor<128xi32, #flat>], %s : tensor<128xf32, #flat> : !tile.ptr<f32, 16>
  tile.return
}

// -----

// In reverse the clear bit says who takes the neighbour's total; in registers that costs nothing.
// CHECK-LABEL: llvm.func @reverse
// CHECK: %[[X0:.*]] = llvm.extractelement %[[V:.*]][%{{.*}} : i32] : vector<2xf32>
// CHECK: %[[X1:.*]] = llvm.extractelement %[[V]]
// CHECK: llvm.fadd %[[X1]], %[[X0]]
// CHECK-NOT: llvm.fadd
// CHECK: llvm.return
#flat = #tilegpu.linear<"register = [[1]], lane = [[0], [0], [0], [0], [0]], warp = [[0], [0]]">
tile.kernel @reverse(%x: !tile.ptr<f32, 16>, %y: !tile.ptr<f32, 16>) {
  %i = tile.arange 0 : tensor<2xi32, #flat>
  %v = tile.load %x[%i : tensor<2xi32, #flat>] : !tile.ptr<f32, 16> -> tensor<2xf32, #flat>
  %s = "tile.scan"(%v) <{axis = 0 : i32, reverse}> ({
  ^bb0(%a: f32, %b: f32):
    %c = arith.addf %a, %b : f32
    tile.yield %c : f32
  }) : (tensor<2xf32, #flat>) -> tensor<2xf32, #flat>
  tile.store %y[%i : tensor<2xi32, #flat>], %s : tensor<2xf32, #flat> : !tile.ptr<f32, 16>
  tile.return
}
