// RUN: moec-opt %s --tile-contract-fma | FileCheck %s
// CHECK-LABEL: tile.kernel @fma
tile.kernel @fma(%a: f32, %b: f32, %c: f32, %p: !tile.ptr<f32>, %h: bf16) {
  %i = arith.constant 0 : i32
  // CHECK: math.fma %{{.*}}, %{{.*}}, %{{.*}} : f32
  %m = arith.mulf %a, %b : f32
  %s = arith.addf %m, %c : f32
  tile.store %p[%i : i32], %s : f32 : !tile.ptr<f32>
  // CHECK: arith.negf
  // CHECK: math.fma
  %m2 = arith.mulf %a, %c : f32
  %s2 = arith.subf %b, %m2 : f32
  tile.store %p[%i : i32], %s2 : f32 : !tile.ptr<f32>
  // CHECK: arith.mulf {{.*}} {tile.strict}
  // CHECK: arith.addf
  %m3 = arith.mulf %a, %c {tile.strict} : f32
  %s3 = arith.addf %b, %m3 : f32
  tile.store %p[%i : i32], %s3 : f32 : !tile.ptr<f32>
  // a product with two uses stays
  // CHECK: arith.mulf
  // CHECK: arith.addf
  // CHECK: arith.addf
  %m4 = arith.mulf %b, %c : f32
  %s4 = arith.addf %a, %m4 : f32
  %s5 = arith.addf %s4, %m4 : f32
  tile.store %p[%i : i32], %s5 : f32 : !tile.ptr<f32>
  // bf16 is left alone: its fma would round differently from the two ops
  // CHECK: arith.mulf {{.*}} : bf16
  %m6 = arith.mulf %h, %h : bf16
  %s6 = arith.addf %m6, %h : bf16
  %w = tile.cast %s6 : bf16 -> f32
  tile.store %p[%i : i32], %w : f32 : !tile.ptr<f32>
  tile.return
}
