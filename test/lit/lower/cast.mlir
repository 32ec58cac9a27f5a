// Conversions that round are rounded once; pairs and quads are packed into words.
// RUN: moec-opt %s -split-input-file --pass-pipeline="builtin.module(tilegpu-lower-to-nvvm{num-warps=1})" | FileCheck %s

#v4 = #tilegpu.blocked<size = [4], threads = [32], warps = [1], order = [0]>

// CHECK-LABEL: llvm.func @to_bf16
// CHECK-COUNT-2: llvm.fptrunc %{{.*}} : vector<2xf32> to vector<2xbf16>
// CHECK-NOT: llvm.fptrunc
// CHECK: llvm.store {{.*}} {alignment = 8 : i64} : vector<2xi32>
tile.kernel @to_bf16(%x: !tile.ptr<f32, 16>, %y: !tile.ptr<bf16, 16>) {
  %i = tile.arange 0 : tensor<128xi32, #v4>
  %v = tile.load %x[%i : tensor<128xi32, #v4>] : !tile.ptr<f32, 16> -> tensor<128xf32, #v4>
  %r = tile.cast %v : tensor<128xf32, #v4> -> tensor<128xbf16, #v4>
  tile.store %y[%i : tensor<128xi32, #v4>], %r : tensor<128xbf16, #v4> : !tile.ptr<bf16, 16>
  tile.return
}

// -----
// f64 is rounded to odd in f32 first.
// CHECK-LABEL: llvm.func @f64_to_bf16
// CHECK: %[[F:.*]] = llvm.fptrunc %{{.*}} : f64 to f32
// CHECK: %[[BACK:.*]] = llvm.fpext %[[F]] : f32 to f64
// CHECK: llvm.fcmp "one" %[[BACK]]
// CHECK: llvm.or
// CHECK: llvm.fptrunc %{{.*}} : f32 to bf16
tile.kernel @f64_to_bf16(%y: !tile.ptr<bf16>, %a: f64) {
  %c0 = arith.constant 0 : i32
  %r = tile.cast %a : f64 -> bf16
  tile.store %y[%c0 : i32], %r : bf16 : !tile.ptr<bf16>
  tile.return
}

// -----
#v4 = #tilegpu.blocked<size = [4], threads = [32], warps = [1], order = [0]>
// fp8 two at a time, four to a word.
// CHECK-LABEL: llvm.func @to_e4m3
// CHECK-COUNT-2: nvvm.convert.f32x2.to.f8x2
// CHECK: llvm.store {{.*}} {alignment = 4 : i64} : i32
tile.kernel @to_e4m3(%x: !tile.ptr<f32, 16>, %y: !tile.ptr<f8E4M3FN, 16>) {
  %i = tile.arange 0 : tensor<128xi32, #v4>
  %v = tile.load %x[%i : tensor<128xi32, #v4>] : !tile.ptr<f32, 16> -> tensor<128xf32, #v4>
  %r = tile.cast %v : tensor<128xf32, #v4> -> tensor<128xf8E4M3FN, #v4>
  tile.store %y[%i : tensor<128xi32, #v4>], %r : tensor<128xf8E4M3FN, #v4> : !tile.ptr<f8E4M3FN, 16>
  tile.return
}

// -----
// CHECK-LABEL: llvm.func @integers
// CHECK: llvm.call_intrinsic "llvm.fptosi.sat.i32.f32"
// CHECK: llvm.call_intrinsic "llvm.fptoui.sat.i8.f32"
// CHECK: llvm.zext %{{.*}} : i8 to i32
// CHECK: llvm.fcmp "une"
tile.kernel @integers(%y: !tile.ptr<i32>, %z: !tile.ptr<i1>, %a: f32) {
  %c0 = arith.constant 0 : i32
  %i = tile.cast %a : f32 -> i32
  %b = tile.cast %a unsigned_result : f32 -> i8
  %w = tile.cast %b unsigned_input : i8 -> i32
  %s = arith.addi %i, %w : i32
  tile.store %y[%c0 : i32], %s : i32 : !tile.ptr<i32>
  %p = tile.cast %a : f32 -> i1
  tile.store %z[%c0 : i32], %p : i1 : !tile.ptr<i1>
  tile.return
}
