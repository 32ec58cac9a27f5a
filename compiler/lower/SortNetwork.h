// What sort and top-k share: keys that compare as unsigned integers and carry their position, and a bitonic network
// over any layout.
#pragma once

#include "compiler/lower/Exchange.h"

namespace moec::compiler {

/// How the elements of a tile become unique unsigned keys: an order-preserving image of the value, then the position
/// along the axis, so that equal values keep their order. Packed into one i32 where that fits, or an i64 whose words
/// are image and position, or two components (i64 image, i32 position).
class KeyFormat {
public:
  /// Without position bits (0), keys are images only: enough where equal values cannot be told apart, or there is one
  /// element.
  KeyFormat(mlir::Type element, int positionBits, bool descending, bool isUnsigned);

  llvm::SmallVector<mlir::Type> components(mlir::MLIRContext *context) const;
  /// The key of value `v` at `position` (i32).
  llvm::SmallVector<mlir::Value> make(Lowering &l, mlir::Value v, mlir::Value position) const;
  mlir::Value position(Lowering &l, llvm::ArrayRef<mlir::Value> key) const; ///< i32
  /// True if the value can be had back from the key: integers. (Floats lose the sign of zero and the payload of NaN.)
  bool isReversible() const;
  mlir::Value value(Lowering &l, llvm::ArrayRef<mlir::Value> key) const;

private:
  bool isPacked() const { return width <= 32 || !positionBits; }
  int packedBits() const { return width + positionBits <= 32 ? 32 : 64; }
  int shift() const { return packedBits() == 64 && positionBits ? 32 : positionBits; }
  mlir::Value image(Lowering &l, mlir::Value v) const;

  mlir::Type element;
  int width, positionBits;
  bool descending, isUnsigned;
};

/// Keys in a layout (networkLayout), and the steps of a network on them. Ascending: the least key at index 0.
class SortNetwork {
public:
  SortNetwork(Lowering &l, Scratch &scratch, LinearLayout layout, llvm::SmallVector<Registers> keys)
      : layout(std::move(layout)), keys(std::move(keys)), l(l), scratch(scratch) {}

  /// Compares each element with the one whose index differs in `bit`; the lesser goes where the bit is 0, or, if the
  /// index has bit `descendingBit` (-1: none) set, the greater.
  void compareExchange(int bit, int descendingBit);
  /// Sorts each block of 2^count elements that differ in `bits` (lowest first), ascending.
  void sortBlocks(llvm::ArrayRef<int> bits);
  /// Each two sorted blocks of 2^count that differ in `bit` become one, with the least of both; index bit `bit` is
  /// gone.
  void keepLeast(llvm::ArrayRef<int> bits, int bit);

  LinearLayout layout;
  llvm::SmallVector<Registers> keys; ///< one per key component

private:
  struct IndexBit {
    bool constant;
    mlir::Value thread;
  };
  IndexBit indexBit(unsigned r, int bit, int flippedBy);
  /// The keys at place ^ `at`, for each canonical register.
  llvm::SmallVector<Registers> partners(Place at, llvm::ArrayRef<unsigned> canonical);
  mlir::Value less(llvm::ArrayRef<mlir::Value> a, llvm::ArrayRef<mlir::Value> b);
  void set(unsigned r, llvm::ArrayRef<mlir::Value> key);
  void exchangeInThread(unsigned r, unsigned other, IndexBit high);

  Lowering &l;
  Scratch &scratch;
  llvm::DenseMap<std::pair<uint32_t, uint32_t>, mlir::Value> parities; ///< by lane and warp bits
};

/// The layout that a network runs in: the given one where every index bit has one home, else a plain one.
LinearLayout networkLayout(const LinearLayout &layout);
/// Scratch that a network's steps need, given the layout that it starts with.
int64_t networkScratchBytes(const LinearLayout &layout, llvm::ArrayRef<int> bits, int numWarps,
                            llvm::ArrayRef<mlir::Type> components);
/// The keys of a tile along its last axis.
llvm::SmallVector<Registers> makeKeys(Lowering &l, const KeyFormat &format, llvm::ArrayRef<mlir::Value> values,
                                      const LinearLayout &layout);

mlir::Type elementOf(mlir::Value tile);
LinearLayout layoutOf(mlir::Value tile);
mlir::Type storageOf(mlir::Value tile);
int64_t tileBytes(mlir::Value tile); ///< in shared memory
/// convertTogether between layouts of one element count, whatever their shapes.
llvm::SmallVector<Registers> toLayout(Lowering &l, Scratch &scratch, llvm::ArrayRef<Registers> values,
                                      const LinearLayout &from, const LinearLayout &to);
Registers positionsOf(Lowering &l, const KeyFormat &format, llvm::ArrayRef<Registers> keys);
Registers valuesOf(Lowering &l, const KeyFormat &format, llvm::ArrayRef<Registers> keys);
/// Elements of a tile that lies row-major at `buffer`: for each register of `layout` the row that its index has without
/// `positionMask` (moved up by `shift`), at the given position.
Registers fetchByPosition(Lowering &l, mlir::Value buffer, mlir::Type storage, const LinearLayout &layout,
                          uint32_t positionMask, int shift, llvm::ArrayRef<mlir::Value> positions);

/// Flat index of register r's element without the bits under `without`, as an i32.
mlir::Value flatIndex(Lowering &l, const LinearLayout &layout, unsigned r, uint32_t without, int shift = 0);

} // namespace moec::compiler
