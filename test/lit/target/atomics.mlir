// LLVM 22 drops the ordering and the scope of atomicrmw (every one prints as a relaxed atom.global), so compiler/lower emits relaxed ones and
// explicit fences; this pins what the back end makes of them.
// RUN: moec-translate --target sm_90a %s | FileCheck %s

// CHECK: atom.global.add.u32
// CHECK: atom.global.add.f32
// CHECK: atom.global.max.s64
// CHECK: atom{{.*}}.cas.b32
// CHECK: fence.acq_rel.gpu
llvm.func @atomics(%p: !llvm.ptr<1>, %q: !llvm.ptr<1>, %i: i32, %f: f32, %l: i64) attributes {nvvm.kernel} {
  %0 = llvm.atomicrmw add %p, %i syncscope("device") monotonic : !llvm.ptr<1>, i32
  %1 = llvm.atomicrmw fadd %p, %f syncscope("device") monotonic : !llvm.ptr<1>, f32
  %2 = llvm.atomicrmw max %q, %l syncscope("device") monotonic : !llvm.ptr<1>, i64
  %3 = llvm.cmpxchg %p, %i, %0 syncscope("device") monotonic monotonic : !llvm.ptr<1>, i32
  llvm.fence syncscope("device") acq_rel
  llvm.return
}
