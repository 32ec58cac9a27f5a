// Element types, as PTX and PyTorch name them. Shared by the DSL and the runtime; standard library only.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace moec {

/// Element type of a tile or tensor. `boolean` is stored as one byte, 0 or 1. `e4m3` is OCP FP8 E4M3 (no infinities,
/// max 448), `e5m2` OCP FP8 E5M2. Scalars of a kernel (Int, Float) use the same enumeration.
enum class DType : uint8_t { boolean, i8, u8, i32, i64, f16, bf16, f32, f64, e4m3, e5m2 };
inline constexpr int kNumDTypes = 11;

inline constexpr DType i8 = DType::i8, u8 = DType::u8, i32 = DType::i32, i64 = DType::i64, f16 = DType::f16,
                       bf16 = DType::bf16, f32 = DType::f32, f64 = DType::f64, e4m3 = DType::e4m3, e5m2 = DType::e5m2,
                       boolean = DType::boolean;

/// Bytes that one element takes in memory: 1, 2, 4 or 8; 0 for a value that is no dtype.
constexpr int size_bytes(DType t) {
  switch (t) {
  case DType::boolean:
  case DType::i8:
  case DType::u8:
  case DType::e4m3:
  case DType::e5m2: return 1;
  case DType::f16:
  case DType::bf16: return 2;
  case DType::i32:
  case DType::f32: return 4;
  case DType::i64:
  case DType::f64: return 8;
  }
  return 0;
}
constexpr bool is_float(DType t) { return t >= DType::f16 && t <= DType::e5m2; }
constexpr bool is_fp8(DType t) { return t == DType::e4m3 || t == DType::e5m2; }
constexpr bool is_int(DType t) { return t == DType::i8 || t == DType::u8 || t == DType::i32 || t == DType::i64; }

/// "bool", "i8", "u8", "i32", "i64", "f16", "bf16", "f32", "f64", "e4m3", "e5m2"; "no dtype" for another value.
constexpr std::string_view name(DType t) {
  constexpr std::string_view names[] = {"bool", "i8", "u8", "i32", "i64", "f16", "bf16", "f32", "f64", "e4m3", "e5m2"};
  return static_cast<int>(t) < kNumDTypes ? names[static_cast<int>(t)] : "no dtype";
}
/// MLIR's spelling of the element type: i1, i8 (u8 too: signedness is in the ops), i32, i64, f16, bf16, f32, f64,
/// f8E4M3FN, f8E5M2.
constexpr std::string_view mlir_name(DType t) {
  constexpr std::string_view names[] = {"i1",   "i8",  "i8",  "i32",      "i64",   "f16",
                                        "bf16", "f32", "f64", "f8E4M3FN", "f8E5M2"};
  return names[static_cast<int>(t)];
}
/// The inverse of name(); nullopt for an unknown one.
constexpr std::optional<DType> dtype_from_name(std::string_view s) {
  for (int i = 0; i < kNumDTypes; ++i)
    if (name(static_cast<DType>(i)) == s) return static_cast<DType>(i);
  return std::nullopt;
}

} // namespace moec
