// Calls of libdevice are linked, inlined and reflected: no flushing of denormals, square root and division correctly rounded, no calls, no
// reflection left. sin keeps its slow path's table.
// REQUIRES: cuda
// RUN: moec-translate --target sm_80 %s | FileCheck %s
// RUN: moec-translate --target sm_90a --emit resources %s | FileCheck %s --check-prefix=RES

// CHECK-DAG: .global .align 4 .b8 __cudart_i2opi_f[24] = {65, 144, 67, 60
// CHECK: .visible .entry math(
// CHECK-NOT: __nvvm_reflect
// CHECK-NOT: call
// CHECK: sqrt.rn.f32
// CHECK-NOT: sqrt.approx
// CHECK-NOT: div.full

// RES: "spill_bytes":0

llvm.func @__nv_sqrtf(f32) -> f32
llvm.func @__nv_tanhf(f32) -> f32
llvm.func @__nv_erff(f32) -> f32
llvm.func @__nv_logf(f32) -> f32
llvm.func @__nv_sinf(f32) -> f32
llvm.func @__nv_exp(f64) -> f64
llvm.func @math(%p: !llvm.ptr<1>, %q: !llvm.ptr<1>) attributes {nvvm.kernel} {
  %x = llvm.load %p : !llvm.ptr<1> -> f32
  %a = llvm.call @__nv_sqrtf(%x) : (f32) -> f32
  %b = llvm.call @__nv_tanhf(%a) : (f32) -> f32
  %c = llvm.call @__nv_erff(%b) : (f32) -> f32
  %d = llvm.call @__nv_logf(%c) : (f32) -> f32
  %e = llvm.call @__nv_sinf(%d) : (f32) -> f32
  llvm.store %e, %p : f32, !llvm.ptr<1>
  %y = llvm.load %q : !llvm.ptr<1> -> f64
  %z = llvm.call @__nv_exp(%y) : (f64) -> f64
  llvm.store %z, %q : f64, !llvm.ptr<1>
  llvm.return
}
