// The numbers contract at the last step: mul and add stay separate, division and square root are correctly rounded, nothing flushes, and
// conversions to bf16 round once.
// RUN: moec-translate --target sm_80 %s | FileCheck %s
// RUN: moec-translate --target sm_90a %s | FileCheck %s

// CHECK: mul.rn.f32
// CHECK: add.rn.f32
// CHECK: fma.rn.f32
// CHECK: div.rn.f32
// CHECK: sqrt.rn.f32
// CHECK: cvt.rn.bf16
// CHECK-NOT: ftz
llvm.func @numbers(%p: !llvm.ptr<1>, %q: !llvm.ptr<1>, %x: f32, %y: f32, %z: f32) attributes {nvvm.kernel} {
  %m = llvm.fmul %x, %y : f32
  %s = llvm.fadd %m, %z : f32
  %f = llvm.intr.fma(%s, %x, %y) : (f32, f32, f32) -> f32
  %d = llvm.fdiv %f, %z : f32
  %r = llvm.intr.sqrt(%d) : (f32) -> f32
  %t = llvm.fptrunc %r : f32 to bf16
  llvm.store %t, %q {alignment = 2 : i64} : bf16, !llvm.ptr<1>
  llvm.return
}
