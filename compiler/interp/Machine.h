// The interpreter's state, and what its op handlers are given.
#pragma once

#include "compiler/interp/Interpreter.h"
#include "compiler/interp/Number.h"
#include "compiler/ir/TileGpu.h"

#include <functional>
#include <memory>
#include <optional>

namespace moec::compiler::interp {

/// A tensor in memory as one !tile.view value sees it.
struct View {
  uint64_t base = 0;
  llvm::SmallVector<int64_t, 4> sizes, strides; ///< strides in elements
  /// Why nothing may be accessed through it, and the op that made it so: a view is only computed, so a wrong one counts
  /// when it is used.
  std::string problem;
  mlir::Operation *culprit = nullptr;
};

/// A !tilegpu.buffer: the tiles of its stages, empty until something is stored.
struct Buffer {
  std::vector<std::optional<std::vector<Bits>>> stages;
};

/// The value of one SSA value. A scalar or pointer has one cell, a tile has its elements in row-major order.
struct Value {
  mlir::Type type;
  std::shared_ptr<const std::vector<Bits>> cells;
  std::shared_ptr<const View> view;
  std::shared_ptr<Buffer> buffer;

  llvm::ArrayRef<int64_t> shape() const;
  mlir::Type element() const { return mlir::getElementTypeOrSelf(type); }
  size_t size() const { return cells->size(); }
  /// Element i of a tile; a scalar stands for all of them.
  Bits at(size_t i) const { return (*cells)[cells->size() == 1 ? 0 : i]; }
  int64_t signedAt(size_t i) const { return signedOf(element(), at(i)); }
  double floatAt(size_t i) const { return decode(element(), at(i)); }
  /// The one cell of a scalar.
  Bits scalar() const { return cells->front(); }
  int64_t signedScalar() const { return signedOf(element(), scalar()); }
};

Value makeValue(mlir::Type type, std::vector<Bits> cells);

/// Number of elements of a tile type; 1 for scalars.
size_t countOf(mlir::Type type);
/// "[3, 5]": the coordinates of element i of a shape; "" for scalars.
std::string position(llvm::ArrayRef<int64_t> shape, size_t i);

class Machine;
using Handler = std::function<void(Machine &, mlir::Operation *)>;

/// From op names to what they do.
class Table {
public:
  explicit Table(mlir::MLIRContext *context) : context(context) {}
  template <typename Op> void on(void (*handler)(Machine &, Op)) {
    set(Op::getOperationName(), [handler](Machine &m, mlir::Operation *op) { handler(m, llvm::cast<Op>(op)); });
  }
  void set(llvm::StringRef name, Handler handler) { handlers[mlir::OperationName(name, context)] = std::move(handler); }
  const Handler *find(mlir::OperationName name) const;

private:
  mlir::MLIRContext *context;
  llvm::DenseMap<mlir::OperationName, Handler> handlers;
};

class Machine {
public:
  Machine(const Table &table, const InterpretOptions &options);

  // ---- values
  Value get(mlir::Value value) const;
  void set(mlir::Value value, Value result) { environment[value] = std::move(result); }
  /// Sets an op's only result, of the op's type.
  void setResult(mlir::Operation *op, std::vector<Bits> cells) {
    set(op->getResult(0), makeValue(op->getResult(0).getType(), std::move(cells)));
  }

  // ---- control
  /// Runs a block's ops, its terminator excepted.
  void run(mlir::Block &block);
  /// Sets the block's arguments and runs it; gives the values of the terminator's operands from `firstOperand` on.
  llvm::SmallVector<Value, 2> call(mlir::Block &block, llvm::ArrayRef<Value> arguments, unsigned firstOperand = 0);
  /// The launch ends here: a failed assertion, or an op without meaning.
  void stop() { isStopped = true; }
  bool stopped() const { return isStopped; }
  void beginProgram(std::array<int32_t, 3> id);

  // ---- findings
  void finding(mlir::Operation *op, const llvm::Twine &message);
  std::vector<Finding> takeFindings() { return std::move(findings); }

  // ---- global memory; a bad access is a finding of `op`, and then reads 0 and writes nothing
  Bits read(mlir::Operation *op, uint64_t address, mlir::Type element);
  void write(mlir::Operation *op, uint64_t address, mlir::Type element, Bits bits);

  // ---- asynchronous copies of this program: what arrives when its group is waited for
  void copyLater(std::function<void()> arrival) { openGroup.push_back(std::move(arrival)); }
  void commitCopies();
  void waitForCopies(size_t pending);

  const InterpretOptions &options;
  std::array<int32_t, 3> program = {0, 0, 0};

private:
  bool accessible(mlir::Operation *op, uint64_t address, mlir::Type element, const char *what);
  void unsupported(mlir::Operation *op);

  const Table &table;
  llvm::DenseMap<mlir::Value, Value> environment;
  std::vector<std::pair<uint64_t, uint64_t>> ranges; // sorted
  std::vector<Finding> findings;
  llvm::DenseMap<mlir::Operation *, size_t> findingOf;
  std::vector<std::vector<std::function<void()>>> groups;
  std::vector<std::function<void()>> openGroup;
  bool isStopped = false;
};

// One per op family, each in the file of its name.
void registerControl(Table &); // Control.cpp: tile structure, scf, barriers, assert
void registerShape(Table &);   // Shape.cpp: arange, splat, broadcast, expand_dims, reshape, trans, constants
void registerInteger(Table &); // Integer.cpp: arith on integers
void registerFloat(Table &);   // Float.cpp: arith on floats, select
void registerCast(Table &);    // Cast.cpp: tile.cast and arith's conversions
void registerMath(Table &);    // Math.cpp: math, tile.sigmoid, tile.fast_*
void registerView(Table &);    // View.cpp: views and accesses through them
void registerMemory(Table &);  // Memory.cpp: pointers, atomics
void registerCombine(Table &); // Combine.cpp: reduce, scan
void registerSort(Table &);    // Sort.cpp: sort, topk, histogram
void registerDot(Table &);     // Dot.cpp
void registerGpu(Table &);     // Gpu.cpp: tilegpu

// ---- elementwise: f of each element's bits (operands broadcast from scalars)
template <typename F> void mapUnary(Machine &m, mlir::Operation *op, F f) {
  Value a = m.get(op->getOperand(0));
  std::vector<Bits> out(countOf(op->getResult(0).getType()));
  for (size_t i = 0; i < out.size(); ++i) out[i] = f(a.at(i));
  m.setResult(op, std::move(out));
}
template <typename F> void mapBinary(Machine &m, mlir::Operation *op, F f) {
  Value a = m.get(op->getOperand(0)), b = m.get(op->getOperand(1));
  std::vector<Bits> out(countOf(op->getResult(0).getType()));
  for (size_t i = 0; i < out.size(); ++i) out[i] = f(a.at(i), b.at(i));
  m.setResult(op, std::move(out));
}

} // namespace moec::compiler::interp
