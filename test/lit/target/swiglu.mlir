// A thread-level weighted SwiGLU as compiler/lower would write it: 16-byte bf16 loads and stores, f32 arithmetic, libdevice's exp.
// REQUIRES: cuda
// RUN: moec-translate --target sm_80 --emit ptx %s | FileCheck %s --check-prefixes=PTX,SM80
// RUN: moec-translate --target sm_90a --emit ptx %s | FileCheck %s --check-prefixes=PTX,SM90
// RUN: moec-translate --target sm_100a --emit ptx %s | FileCheck %s --check-prefixes=PTX,SM100
// RUN: moec-translate --target sm_90a --emit resources %s | FileCheck %s --check-prefix=RES
// RUN: moec-translate --target sm_90a --emit llvm %s | FileCheck %s --check-prefix=LLVM

// SM80: .version 8.0
// SM80: .target sm_80
// SM90: .version 8.6
// SM90: .target sm_90a
// SM100: .version 8.6
// SM100: .target sm_100a
// PTX: .visible .entry swiglu(
// PTX: .reqntid 128
// No call is left of libdevice, and no local memory.
// PTX-NOT: call
// PTX-NOT: .local
// PTX-COUNT-2: ld.global.v4.b32
// PTX: ex2.approx.ftz.f32
// PTX: div.rn.f32
// PTX-COUNT-4: cvt.rn.bf16x2.f32
// PTX: st.global.v4.b32
// PTX-NOT: __nv_

// RES-DAG: "kernel":"swiglu"
// RES-DAG: "barriers":0
// RES-DAG: "local_bytes":0
// RES-DAG: "spill_bytes":0
// RES-DAG: "static_shared_bytes":0
// RES-DAG: "threads":128

// LLVM: target triple = "nvptx64-nvidia-cuda"
// LLVM: define ptx_kernel void @swiglu
// LLVM-NOT: @__nv_
llvm.func @__nv_expf(f32) -> f32
llvm.func @swiglu(%y: !llvm.ptr<1>, %x: !llvm.ptr<1>, %w: !llvm.ptr<1>, %rows: i32) attributes {nvvm.kernel, nvvm.reqntid = array<i32: 128>} {
  %h = llvm.mlir.constant(2048 : i32) : i32
  %c128 = llvm.mlir.constant(128 : i32) : i32
  %c8 = llvm.mlir.constant(8 : i32) : i32
  %c2 = llvm.mlir.constant(2 : i32) : i32
  %one = llvm.mlir.constant(1.0 : f32) : f32
  %row = nvvm.read.ptx.sreg.ctaid.x : i32
  %block = nvvm.read.ptx.sreg.ctaid.y : i32
  %tid = nvvm.read.ptx.sreg.tid.x : i32
  %b0 = llvm.mul %block, %c128 : i32
  %b1 = llvm.add %b0, %tid : i32
  %col = llvm.mul %b1, %c8 : i32
  %inrow = llvm.icmp "slt" %row, %rows : i32
  llvm.cond_br %inrow, ^body, ^exit
^body:
  %row2 = llvm.mul %row, %c2 : i32
  %gbase = llvm.mul %row2, %h : i32
  %goff = llvm.add %gbase, %col : i32
  %uoff = llvm.add %goff, %h : i32
  %obase = llvm.mul %row, %h : i32
  %ooff = llvm.add %obase, %col : i32
  %wp = llvm.getelementptr %w[%row] : (!llvm.ptr<1>, i32) -> !llvm.ptr<1>, f32
  %weight = llvm.load %wp : !llvm.ptr<1> -> f32
  %gp = llvm.getelementptr %x[%goff] : (!llvm.ptr<1>, i32) -> !llvm.ptr<1>, bf16
  %up = llvm.getelementptr %x[%uoff] : (!llvm.ptr<1>, i32) -> !llvm.ptr<1>, bf16
  %op = llvm.getelementptr %y[%ooff] : (!llvm.ptr<1>, i32) -> !llvm.ptr<1>, bf16
  %gi = llvm.load %gp {alignment = 16 : i64} : !llvm.ptr<1> -> vector<4xi32>
  %ui = llvm.load %up {alignment = 16 : i64} : !llvm.ptr<1> -> vector<4xi32>
  %gv = llvm.bitcast %gi : vector<4xi32> to vector<8xbf16>
  %uv = llvm.bitcast %ui : vector<4xi32> to vector<8xbf16>
  %o0 = llvm.mlir.undef : vector<8xbf16>
  %i0 = llvm.mlir.constant(0 : i32) : i32
  %g0 = llvm.extractelement %gv[%i0 : i32] : vector<8xbf16>
  %u0 = llvm.extractelement %uv[%i0 : i32] : vector<8xbf16>
  %gf0 = llvm.fpext %g0 : bf16 to f32
  %uf0 = llvm.fpext %u0 : bf16 to f32
  %n0 = llvm.fneg %gf0 : f32
  %e0 = llvm.call @__nv_expf(%n0) : (f32) -> f32
  %d0 = llvm.fadd %e0, %one : f32
  %s0 = llvm.fdiv %gf0, %d0 : f32
  %m0 = llvm.fmul %s0, %uf0 : f32
  %r0 = llvm.fmul %m0, %weight : f32
  %t0 = llvm.fptrunc %r0 : f32 to bf16
  %o1 = llvm.insertelement %t0, %o0[%i0 : i32] : vector<8xbf16>
  %i1 = llvm.mlir.constant(1 : i32) : i32
  %g1 = llvm.extractelement %gv[%i1 : i32] : vector<8xbf16>
  %u1 = llvm.extractelement %uv[%i1 : i32] : vector<8xbf16>
  %gf1 = llvm.fpext %g1 : bf16 to f32
  %uf1 = llvm.fpext %u1 : bf16 to f32
  %n1 = llvm.fneg %gf1 : f32
  %e1 = llvm.call @__nv_expf(%n1) : (f32) -> f32
  %d1 = llvm.fadd %e1, %one : f32
  %s1 = llvm.fdiv %gf1, %d1 : f32
  %m1 = llvm.fmul %s1, %uf1 : f32
  %r1 = llvm.fmul %m1, %weight : f32
  %t1 = llvm.fptrunc %r1 : f32 to bf16
  %o2 = llvm.insertelement %t1, %o1[%i1 : i32] : vector<8xbf16>
  %i2 = llvm.mlir.constant(2 : i32) : i32
  %g2 = llvm.extractelement %gv[%i2 : i32] : vector<8xbf16>
  %u2 = llvm.extractelement %uv[%i2 : i32] : vector<8xbf16>
  %gf2 = llvm.fpext %g2 : bf16 to f32
  %uf2 = llvm.fpext %u2 : bf16 to f32
  %n2 = llvm.fneg %gf2 : f32
  %e2 = llvm.call @__nv_expf(%n2) : (f32) -> f32
  %d2 = llvm.fadd %e2, %one : f32
  %s2 = llvm.fdiv %gf2, %d2 : f32
  %m2 = llvm.fmul %s2, %uf2 : f32
  %r2 = llvm.fmul %m2, %weight : f32
  %t2 = llvm.fptrunc %r2 : f32 to bf16
  %o3 = llvm.insertelement %t2, %o2[%i2 : i32] : vector<8xbf16>
  %i3 = llvm.mlir.constant(3 : i32) : i32
  %g3 = llvm.extractelement %gv[%i3 : i32] : vector<8xbf16>
  %u3 = llvm.extractelement %uv[%i3 : i32] : vector<8xbf16>
  %gf3 = llvm.fpext %g3 : bf16 to f32
  %uf3 = llvm.fpext %u3 : bf16 to f32
  %n3 = llvm.fneg %gf3 : f32
  %e3 = llvm.call @__nv_expf(%n3) : (f32) -> f32
  %d3 = llvm.fadd %e3, %one : f32
  %s3 = llvm.fdiv %gf3, %d3 : f32
  %m3 = llvm.fmul %s3, %uf3 : f32
  %r3 = llvm.fmul %m3, %weight : f32
  %t3 = llvm.fptrunc %r3 : f32 to bf16
  %o4 = llvm.insertelement %t3, %o3[%i3 : i32] : vector<8xbf16>
  %i4 = llvm.mlir.constant(4 : i32) : i32
  %g4 = llvm.extractelement %gv[%i4 : i32] : vector<8xbf16>
  %u4 = llvm.extractelement %uv[%i4 : i32] : vector<8xbf16>
  %gf4 = llvm.fpext %g4 : bf16 to f32
  %uf4 = llvm.fpext %u4 : bf16 to f32
  %n4 = llvm.fneg %gf4 : f32
  %e4 = llvm.call @__nv_expf(%n4) : (f32) -> f32
  %d4 = llvm.fadd %e4, %one : f32
  %s4 = llvm.fdiv %gf4, %d4 : f32
  %m4 = llvm.fmul %s4, %uf4 : f32
  %r4 = llvm.fmul %m4, %weight : f32
  %t4 = llvm.fptrunc %r4 : f32 to bf16
  %o5 = llvm.insertelement %t4, %o4[%i4 : i32] : vector<8xbf16>
  %i5 = llvm.mlir.constant(5 : i32) : i32
  %g5 = llvm.extractelement %gv[%i5 : i32] : vector<8xbf16>
  %u5 = llvm.extractelement %uv[%i5 : i32] : vector<8xbf16>
  %gf5 = llvm.fpext %g5 : bf16 to f32
  %uf5 = llvm.fpext %u5 : bf16 to f32
  %n5 = llvm.fneg %gf5 : f32
  %e5 = llvm.call @__nv_expf(%n5) : (f32) -> f32
  %d5 = llvm.fadd %e5, %one : f32
  %s5 = llvm.fdiv %gf5, %d5 : f32
  %m5 = llvm.fmul %s5, %uf5 : f32
  %r5 = llvm.fmul %m5, %weight : f32
  %t5 = llvm.fptrunc %r5 : f32 to bf16
  %o6 = llvm.insertelement %t5, %o5[%i5 : i32] : vector<8xbf16>
  %i6 = llvm.mlir.constant(6 : i32) : i32
  %g6 = llvm.extractelement %gv[%i6 : i32] : vector<8xbf16>
  %u6 = llvm.extractelement %uv[%i6 : i32] : vector<8xbf16>
  %gf6 = llvm.fpext %g6 : bf16 to f32
  %uf6 = llvm.fpext %u6 : bf16 to f32
  %n6 = llvm.fneg %gf6 : f32
  %e6 = llvm.call @__nv_expf(%n6) : (f32) -> f32
  %d6 = llvm.fadd %e6, %one : f32
  %s6 = llvm.fdiv %gf6, %d6 : f32
  %m6 = llvm.fmul %s6, %uf6 : f32
  %r6 = llvm.fmul %m6, %weight : f32
  %t6 = llvm.fptrunc %r6 : f32 to bf16
  %o7 = llvm.insertelement %t6, %o6[%i6 : i32] : vector<8xbf16>
  %i7 = llvm.mlir.constant(7 : i32) : i32
  %g7 = llvm.extractelement %gv[%i7 : i32] : vector<8xbf16>
  %u7 = llvm.extractelement %uv[%i7 : i32] : vector<8xbf16>
  %gf7 = llvm.fpext %g7 : bf16 to f32
  %uf7 = llvm.fpext %u7 : bf16 to f32
  %n7 = llvm.fneg %gf7 : f32
  %e7 = llvm.call @__nv_expf(%n7) : (f32) -> f32
  %d7 = llvm.fadd %e7, %one : f32
  %s7 = llvm.fdiv %gf7, %d7 : f32
  %m7 = llvm.fmul %s7, %uf7 : f32
  %r7 = llvm.fmul %m7, %weight : f32
  %t7 = llvm.fptrunc %r7 : f32 to bf16
  %o8 = llvm.insertelement %t7, %o7[%i7 : i32] : vector<8xbf16>
  %oi = llvm.bitcast %o8 : vector<8xbf16> to vector<4xi32>
  llvm.store %oi, %op {alignment = 16 : i64} : vector<4xi32>, !llvm.ptr<1>
  llvm.br ^exit
^exit:
  llvm.return
}
