// tile.histogram: shared counters, cleared, counted, read.
// RUN: moec-opt %s --split-input-file --pass-pipeline="builtin.module(tilegpu-allocate-shared{num-warps=4},tile.kernel(tilegpu-insert-barriers{num-warps=4}),tilegpu-lower-to-nvvm{num-warps=4})" | FileCheck %s

// CHECK-LABEL: module attributes {tilegpu.shared_bytes = 32
// CHECK: llvm.store {{.*}} : i32, !llvm.ptr<3>
// CHECK: nvvm.barrier0
// CHECK: llvm.icmp "ult"
// CHECK: llvm.and {{.*}} : i1
// CHECK: llvm.cond_br
// CHECK: llvm.atomicrmw add {{.*}} syncscope("block") monotonic : !llvm.ptr<3>, i32
// CHECK: nvvm.barrier0
// CHECK: llvm.load {{.*}} : !llvm.ptr<3> -> i32
// CHECK-NOT: nvvm.barrier0
// CHECK: llvm.return
#l = #tilegpu.linear<"register = [], lane = [[1], [2], [4], [8], [16]], warp = [[32], [64]]">
#b = #tilegpu.linear<"register = [], lane = [[1], [2], [4], [0], [0]], warp = [[0], [0]]">
tile.kernel @histogram(%x: !tile.ptr<i32, 16>, %y: !tile.ptr<i32, 16>) {
  %i = tile.arange 0 : tensor<128xi32, #l>
  %v = tile.load %x[%i : tensor<128xi32, #l>] : !tile.ptr<i32, 16> -> tensor<128xi32, #l>
  %m = tile.cast %v : tensor<128xi32, #l> -> tensor<128xi1, #l>
  %h = tile.histogram %v, mask %m : tensor<128xi1, #l> : tensor<128xi32, #l> -> tensor<8xi32, #b>
  %j = tile.arange 0 : tensor<8xi32, #b>
  tile.store %y[%j : tensor<8xi32, #b>], %h : tensor<8xi32, #b> : !tile.ptr<i32, 16>
  tile.return
}
