#include "compiler/interp/Machine.h"

#include "llvm/Support/raw_ostream.h"

#include <cstring>

using namespace mlir;

namespace moec::compiler::interp {

ArrayRef<int64_t> Value::shape() const {
  if (auto tile = dyn_cast<RankedTensorType>(type)) return tile.getShape();
  return {};
}

Value makeValue(Type type, std::vector<Bits> cells) {
  assert(cells.size() == countOf(type) && "a value has a cell per element");
  return {type, std::make_shared<const std::vector<Bits>>(std::move(cells)), nullptr, nullptr};
}

size_t countOf(Type type) {
  auto tile = dyn_cast<RankedTensorType>(type);
  return tile ? tile.getNumElements() : 1;
}

std::string position(ArrayRef<int64_t> shape, size_t i) {
  if (shape.empty()) return "";
  std::string text = "]";
  for (size_t d = shape.size(); d-- > 0;) {
    text = std::to_string(i % shape[d]) + text;
    i /= shape[d];
    if (d > 0) text = ", " + text;
  }
  return "[" + text;
}

const Handler *Table::find(OperationName name) const {
  auto it = handlers.find(name);
  return it == handlers.end() ? nullptr : &it->second;
}

Machine::Machine(const Table &table, const InterpretOptions &options)
    : options(options), table(table), ranges(options.ranges.begin(), options.ranges.end()) {
  llvm::sort(ranges);
}

Value Machine::get(mlir::Value value) const {
  auto it = environment.find(value);
  assert(it != environment.end() && "verified IR uses only what was computed");
  return it->second;
}

void Machine::unsupported(Operation *op) {
  findings.push_back(
      {op->getLoc(), ("the interpreter has no rule for '" + op->getName().getStringRef() + "'").str(), 0, true});
  stop();
}

void Machine::run(Block &block) {
  for (Operation &op : block.without_terminator()) {
    if (stopped()) return;
    const Handler *handler = table.find(op.getName());
    if (!handler) return unsupported(&op);
    (*handler)(*this, &op);
  }
}

SmallVector<Value, 2> Machine::call(Block &block, ArrayRef<Value> arguments, unsigned firstOperand) {
  for (auto [argument, value] : llvm::zip_equal(block.getArguments(), arguments)) set(argument, value);
  run(block);
  SmallVector<Value, 2> results;
  if (stopped()) return results;
  for (mlir::Value operand : block.getTerminator()->getOperands().drop_front(firstOperand))
    results.push_back(get(operand));
  return results;
}

void Machine::beginProgram(std::array<int32_t, 3> id) {
  program = id;
  groups.clear();
  openGroup.clear();
}

void Machine::finding(Operation *op, const Twine &message) {
  auto [it, isNew] = findingOf.try_emplace(op, findings.size());
  if (!isNew) {
    ++findings[it->second].repeats;
    return;
  }
  std::string where;
  if (options.grid != std::array<int32_t, 3>{1, 1, 1}) {
    where = " (program " + std::to_string(program[0]) + ", " + std::to_string(program[1]) + ", " +
            std::to_string(program[2]) + ")";
  }
  findings.push_back({op->getLoc(), message.str() + where});
}

bool Machine::accessible(Operation *op, uint64_t address, Type element, const char *what) {
  uint64_t bytes = bytesOf(element);
  if (address % bytes) {
    finding(op, Twine(what) + " of " + Twine(bytes) + " bytes at 0x" + Twine::utohexstr(address) + ": not aligned");
    return false;
  }
  if (ranges.empty()) {
    if (address >= 4096) return true;
    finding(op, Twine(what) + " at 0x" + Twine::utohexstr(address) + ": not a pointer to anything");
    return false;
  }
  auto after = llvm::upper_bound(ranges, std::pair<uint64_t, uint64_t>(address, UINT64_MAX));
  if (after != ranges.begin() && std::prev(after)->second >= address + bytes) return true;
  std::string nearest;
  if (after != ranges.begin()) {
    nearest = ", " + std::to_string(address - std::prev(after)->second) +
              " bytes after the end of the nearest tensor before it";
  }
  finding(op, Twine(what) + " of " + Twine(bytes) + " bytes at 0x" + Twine::utohexstr(address) +
                  " is outside every tensor of the launch" + nearest);
  return false;
}

Bits Machine::read(Operation *op, uint64_t address, Type element) {
  if (!accessible(op, address, element, "load")) return 0;
  Bits bits = 0;
  std::memcpy(&bits, reinterpret_cast<const void *>(address),
              bytesOf(element)); // little-endian hosts only, as the GPU is
  return element.isInteger(1) ? bits != 0 : bits;
}

void Machine::write(Operation *op, uint64_t address, Type element, Bits bits) {
  if (accessible(op, address, element, "store"))
    std::memcpy(reinterpret_cast<void *>(address), &bits, bytesOf(element));
}

void Machine::commitCopies() {
  groups.push_back(std::move(openGroup));
  openGroup.clear();
}

void Machine::waitForCopies(size_t pending) {
  while (groups.size() > pending) {
    for (auto &arrival : groups.front()) arrival();
    groups.erase(groups.begin());
  }
}

} // namespace moec::compiler::interp
