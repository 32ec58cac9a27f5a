// Elements as bits: each dtype's bits to numbers and back, with one rounding.
#pragma once

#include "mlir/IR/BuiltinTypes.h"
#include "llvm/ADT/APFloat.h"
#include "llvm/ADT/APInt.h"

#include <cstdint>

namespace moec::compiler::interp {

/// An element's bits, in the low bits of the word; the rest is 0.
using Bits = uint64_t;

/// Bits of an element type (64 for index and pointers).
unsigned widthOf(mlir::Type element);
/// Bytes that an element takes in memory (i1: one).
unsigned bytesOf(mlir::Type element);
/// The low bits that belong to the type.
Bits truncate(mlir::Type element, uint64_t word);
/// The element as a signed number.
int64_t signedOf(mlir::Type element, Bits bits);

/// A float of any dtype as f64: exact.
double decode(mlir::Type element, Bits bits);
/// A number in a float type, rounded once to nearest even; what is too large becomes infinity, or NaN in f8E4M3FN.
Bits encode(mlir::Type element, double value);
/// The same, but what is too large, infinity included, becomes the f8 types' greatest number (other types: as encode).
Bits encodeSaturating(mlir::Type element, double value);
/// An integer in a float type, rounded once; `saturate` as in encodeSaturating.
Bits encodeInteger(mlir::Type element, const llvm::APInt &value, bool isSigned, bool saturate);
/// A float toward zero in an integer of `width` bits, saturating; NaN gives 0.
Bits toInteger(double value, unsigned width, bool isSigned);
/// a*b + c with one rounding, in any float type.
Bits fusedMultiplyAdd(mlir::Type element, Bits a, Bits b, Bits c);

/// The greater (less) of two numbers; NaN if one is NaN; -0 < +0.
double maximum(double a, double b);
double minimum(double a, double b);
/// The same, but a NaN loses to a number.
double maximumNumber(double a, double b);
double minimumNumber(double a, double b);

} // namespace moec::compiler::interp
