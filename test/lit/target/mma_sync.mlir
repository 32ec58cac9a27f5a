// One step of a tensor-core loop as compiler/lower would write it: cp.async into the kernel's shared memory, ldmatrix, mma.sync, and
// exactly the barriers of the module.
// REQUIRES: cuda
// RUN: moec-translate --target sm_80 %s -o %t.80 && FileCheck %s < %t.80
// RUN: moec-translate --target sm_90a %s -o %t.90 && FileCheck %s < %t.90
// RUN: moec-translate --target sm_100a %s -o %t.100 && FileCheck %s < %t.100
// The census: nothing is added to or lost from what the module synchronizes with.
// RUN: grep -c bar.sync %t.80 | FileCheck %s --check-prefix=TWO
// RUN: grep -c mma.sync %t.80 | FileCheck %s --check-prefix=TWO
// RUN: grep -c cp.async.cg %t.80 | FileCheck %s --check-prefix=TWO
// RUN: moec-translate --target sm_80 --emit resources %s | FileCheck %s --check-prefix=RES

// TWO: {{^2$}}
// RES-DAG: "kernel":"mma"
// RES-DAG: "barriers":1
// RES-DAG: "spill_bytes":0
// RES-DAG: "static_shared_bytes":0

// CHECK: .extern .shared .align 16 .b8 moec_smem[];
// CHECK: .visible .entry mma(
// CHECK: cp.async.cg.shared.global [{{.*}}], [{{.*}}], 16;
// CHECK: cp.async.cg.shared.global [{{.*}}], [{{.*}}], 16, %r{{[0-9]+}};
// CHECK: cp.async.commit_group;
// CHECK: cp.async.wait_group 0;
// CHECK: bar.sync 0;
// CHECK: ldmatrix.sync.aligned.m8n8.x4.shared.b16
// CHECK: ldmatrix.sync.aligned.m8n8.x2.trans.shared.b16
// CHECK: mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32
// CHECK: mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32
// CHECK: bar.sync 0;
// CHECK: st.global.v2.b32

llvm.mlir.global external @moec_smem() {addr_space = 3 : i32, alignment = 16 : i64} : !llvm.array<0 x i8>
llvm.func @mma(%a: !llvm.ptr<1>, %b: !llvm.ptr<1>, %c: !llvm.ptr<1>, %bytes: i32) attributes {nvvm.kernel, nvvm.reqntid = array<i32: 64>} {
  %smem = llvm.mlir.addressof @moec_smem : !llvm.ptr<3>
  %tid = nvvm.read.ptx.sreg.tid.x : i32
  %c16 = llvm.mlir.constant(16 : i32) : i32
  %zero = llvm.mlir.constant(0.0 : f32) : f32
  %off = llvm.mul %tid, %c16 : i32
  %sa = llvm.getelementptr %smem[%off] : (!llvm.ptr<3>, i32) -> !llvm.ptr<3>, i8
  %sb = llvm.getelementptr %sa[1024] : (!llvm.ptr<3>) -> !llvm.ptr<3>, i8
  %ga = llvm.getelementptr %a[%off] : (!llvm.ptr<1>, i32) -> !llvm.ptr<1>, i8
  %gb = llvm.getelementptr %b[%off] : (!llvm.ptr<1>, i32) -> !llvm.ptr<1>, i8
  nvvm.cp.async.shared.global %sa, %ga, 16, cache = cg : !llvm.ptr<3>, !llvm.ptr<1>
  nvvm.cp.async.shared.global %sb, %gb, 16, cache = cg, %bytes : !llvm.ptr<3>, !llvm.ptr<1>, i32
  nvvm.cp.async.commit.group
  nvvm.cp.async.wait.group 0
  nvvm.barrier0
  %ma = nvvm.ldmatrix %sa {num = 4 : i32, layout = #nvvm.mma_layout<row>, shape = #nvvm.ld_st_matrix_shape<m = 8, n = 8>, eltType = #nvvm.ld_st_matrix_elt_type<b16>} : (!llvm.ptr<3>) -> !llvm.struct<(i32, i32, i32, i32)>
  %mb = nvvm.ldmatrix %sb {num = 2 : i32, layout = #nvvm.mma_layout<col>, shape = #nvvm.ld_st_matrix_shape<m = 8, n = 8>, eltType = #nvvm.ld_st_matrix_elt_type<b16>} : (!llvm.ptr<3>) -> !llvm.struct<(i32, i32)>
  %a0 = llvm.extractvalue %ma[0] : !llvm.struct<(i32, i32, i32, i32)>
  %a1 = llvm.extractvalue %ma[1] : !llvm.struct<(i32, i32, i32, i32)>
  %a2 = llvm.extractvalue %ma[2] : !llvm.struct<(i32, i32, i32, i32)>
  %a3 = llvm.extractvalue %ma[3] : !llvm.struct<(i32, i32, i32, i32)>
  %b0 = llvm.extractvalue %mb[0] : !llvm.struct<(i32, i32)>
  %b1 = llvm.extractvalue %mb[1] : !llvm.struct<(i32, i32)>
  %d = nvvm.mma.sync A[%a0, %a1, %a2, %a3] B[%b0, %b1] C[%zero, %zero, %zero, %zero] {layoutA = #nvvm.mma_layout<row>, layoutB = #nvvm.mma_layout<col>, multiplicandAPtxType = #nvvm.mma_type<bf16>, multiplicandBPtxType = #nvvm.mma_type<bf16>, shape = #nvvm.shape<m = 16, n = 8, k = 16>} : (i32, i32, f32) -> !llvm.struct<(f32, f32, f32, f32)>
  %d0 = llvm.extractvalue %d[0] : !llvm.struct<(f32, f32, f32, f32)>
  %d1 = llvm.extractvalue %d[1] : !llvm.struct<(f32, f32, f32, f32)>
  %d2 = llvm.extractvalue %d[2] : !llvm.struct<(f32, f32, f32, f32)>
  %d3 = llvm.extractvalue %d[3] : !llvm.struct<(f32, f32, f32, f32)>
  %e = nvvm.mma.sync A[%a0, %a1, %a2, %a3] B[%b1, %b0] C[%d0, %d1, %d2, %d3] {layoutA = #nvvm.mma_layout<row>, layoutB = #nvvm.mma_layout<col>, multiplicandAPtxType = #nvvm.mma_type<bf16>, multiplicandBPtxType = #nvvm.mma_type<bf16>, shape = #nvvm.shape<m = 16, n = 8, k = 16>} : (i32, i32, f32) -> !llvm.struct<(f32, f32, f32, f32)>
  nvvm.barrier0
  %e0 = llvm.extractvalue %e[0] : !llvm.struct<(f32, f32, f32, f32)>
  %e1 = llvm.extractvalue %e[1] : !llvm.struct<(f32, f32, f32, f32)>
  %v0 = llvm.mlir.undef : vector<2xf32>
  %i0 = llvm.mlir.constant(0 : i32) : i32
  %i1 = llvm.mlir.constant(1 : i32) : i32
  %v1 = llvm.insertelement %e0, %v0[%i0 : i32] : vector<2xf32>
  %v2 = llvm.insertelement %e1, %v1[%i1 : i32] : vector<2xf32>
  %gc = llvm.getelementptr %c[%off] : (!llvm.ptr<1>, i32) -> !llvm.ptr<1>, i8
  llvm.store %v2, %gc {alignment = 8 : i64} : vector<2xf32>, !llvm.ptr<1>
  llvm.return
}
