// RUN: moec-opt %s --tile-legalize-dots | FileCheck %s
// fp8 operands are multiplied in f16, which holds them exactly; other dots stay as they are.
// CHECK-LABEL: tile.kernel @fp8
tile.kernel @fp8(%p: !tile.ptr<f8E4M3FN>, %q: !tile.ptr<f8E5M2>, %r: !tile.ptr<f32>) {
  %o = arith.constant dense<0> : tensor<16x16xi32>
  %a = tile.load %p[%o : tensor<16x16xi32>] : !tile.ptr<f8E4M3FN> -> tensor<16x16xf8E4M3FN>
  %b = tile.load %q[%o : tensor<16x16xi32>] : !tile.ptr<f8E5M2> -> tensor<16x16xf8E5M2>
  %z = arith.constant dense<0.0> : tensor<16x16xf32>
  // CHECK: %[[A:.*]] = tile.cast %{{.*}} : tensor<16x16xf8E4M3FN> -> tensor<16x16xf16>
  // CHECK: %[[B:.*]] = tile.cast %{{.*}} : tensor<16x16xf8E5M2> -> tensor<16x16xf16>
  // CHECK: tile.dot %[[A]], %[[B]], %{{.*}} : tensor<16x16xf16>, tensor<16x16xf16>
  %d = tile.dot %a, %b, %z : tensor<16x16xf8E4M3FN>, tensor<16x16xf8E5M2> -> tensor<16x16xf32>
  tile.store %r[%o : tensor<16x16xi32>], %d : tensor<16x16xf32> : !tile.ptr<f32>
  tile.return
}
// CHECK-LABEL: tile.kernel @f32
// CHECK-NOT: tile.cast
tile.kernel @f32(%r: !tile.ptr<f32>) {
  %o = arith.constant dense<0> : tensor<16x16xi32>
  %a = tile.load %r[%o : tensor<16x16xi32>] : !tile.ptr<f32> -> tensor<16x16xf32>
  %d = tile.dot %a, %a, %a : tensor<16x16xf32>, tensor<16x16xf32> -> tensor<16x16xf32>
  tile.store %r[%o : tensor<16x16xi32>], %d : tensor<16x16xf32> : !tile.ptr<f32>
  tile.return
}
