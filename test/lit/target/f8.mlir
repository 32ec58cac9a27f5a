// fp8 conversions are instructions from sm_89 on, integer arithmetic before.
// RUN: moec-translate --target sm_80 --emit ptx %s | FileCheck %s --check-prefix=OLD
// RUN: moec-translate --target sm_90a --emit ptx %s | FileCheck %s --check-prefix=NEW
// RUN: moec-translate --target sm_100a --emit ptx %s | FileCheck %s --check-prefix=NEW

// OLD-NOT: e4m3
// OLD-NOT: e5m2
// OLD: min.u32
// OLD: st.volatile.global
// OLD-NOT: e4m3
// OLD-NOT: e5m2
// NEW-DAG: cvt.rn.satfinite.e4m3x2.f32
// NEW-DAG: cvt.rn.satfinite.e5m2x2.f32
// NEW-DAG: cvt.rn.f16x2.e4m3x2
// NEW-DAG: cvt.rn.f16x2.e5m2x2
llvm.func @k(%p: !llvm.ptr<1>, %a: f32, %b: f32, %c: vector<2xi8>) attributes {nvvm.kernel} {
  %0 = nvvm.convert.f32x2.to.f8x2 %a, %b {rnd = #nvvm.fp_rnd_mode<rn>, sat = #nvvm.sat_mode<satfinite>} : i16 (f8E4M3FN)
  %1 = nvvm.convert.f32x2.to.f8x2 %a, %b {rnd = #nvvm.fp_rnd_mode<rn>, sat = #nvvm.sat_mode<satfinite>} : i16 (f8E5M2)
  %2 = nvvm.convert.f8x2.to.f16x2 %c : vector<2xi8> (f8E4M3FN) -> vector<2xf16>
  %3 = nvvm.convert.f8x2.to.f16x2 %c : vector<2xi8> (f8E5M2) -> vector<2xf16>
  llvm.store volatile %0, %p : i16, !llvm.ptr<1>
  llvm.store volatile %1, %p : i16, !llvm.ptr<1>
  llvm.store volatile %2, %p : vector<2xf16>, !llvm.ptr<1>
  llvm.store volatile %3, %p : vector<2xf16>, !llvm.ptr<1>
  llvm.return
}
