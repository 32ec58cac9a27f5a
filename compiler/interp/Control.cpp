// Structure and control flow: the grid, scf, assertions.
#include "compiler/interp/Machine.h"

using namespace mlir;

namespace moec::compiler::interp {
namespace {

// The host computes the grid from the same extents at launch; here they are held against each other.
void runGrid(Machine &m, tile::GridOp op) {
  if (op.getExtents().empty()) return;
  std::array<int64_t, 3> extents = {1, 1, 1};
  for (auto [i, extent] : llvm::enumerate(op.getExtents())) extents[i] = m.get(extent).signedScalar();
  for (int axis = 0; axis < 3; ++axis)
    if (extents[axis] != m.options.grid[axis])
      m.finding(op, "the launch has " + Twine(m.options.grid[axis]) + " programs along axis " + Twine(axis) +
                        ", the kernel says " + Twine(extents[axis]));
}

void runExpect(Machine &m, tile::ExpectOp op) {
  Value view = m.get(op.getView());
  for (auto [d, size] : llvm::enumerate(op.getSizes())) {
    int64_t wanted = m.get(size).signedScalar(), is = view.view->sizes[d];
    if (wanted != is)
      m.finding(op, "dimension " + Twine(d) + " of the view has size " + Twine(is) + ", the kernel expects " +
                        Twine(wanted));
  }
}

void runAssert(Machine &m, tile::AssertOp op) {
  Value condition = m.get(op.getCondition());
  for (size_t i = 0; i < condition.size(); ++i) {
    if (condition.at(i)) continue;
    std::string where = position(condition.shape(), i), message = op.getMessage().str();
    for (auto [n, value] : llvm::enumerate(op.getValues())) {
      std::string mark = "{" + std::to_string(n) + "}";
      if (size_t at = message.find(mark); at != std::string::npos)
        message.replace(at, mark.size(), std::to_string(m.get(value).signedAt(i)));
    }
    m.finding(op, "assertion failed: " + message + (where.empty() ? "" : ", at element " + where));
    return m.stop();
  }
}

SmallVector<Value> valuesOf(Machine &m, ValueRange range) {
  SmallVector<Value> values;
  for (mlir::Value v : range) values.push_back(m.get(v));
  return values;
}

void setResults(Machine &m, Operation *op, ArrayRef<Value> values) {
  if (m.stopped()) return;
  for (auto [result, value] : llvm::zip_equal(op->getResults(), values)) m.set(result, value);
}

void runFor(Machine &m, scf::ForOp op) {
  Value lower = m.get(op.getLowerBound()), upper = m.get(op.getUpperBound()), step = m.get(op.getStep());
  SmallVector<Value> carried = valuesOf(m, op.getInitArgs());
  bool isUnsigned = op.getUnsignedCmp();
  auto number = [&](const Value &v) { return isUnsigned ? __int128(v.scalar()) : __int128(v.signedScalar()); };
  if (number(step) <= 0) {
    m.finding(op, "the loop's step is " + Twine(step.signedScalar()) + ", not positive");
    return setResults(m, op, carried);
  }
  // In 128 bits, so that the last step cannot wrap around.
  for (__int128 i = number(lower); i < number(upper); i += number(step)) {
    SmallVector<Value> arguments = {makeValue(lower.type, {truncate(lower.type, static_cast<uint64_t>(i))})};
    arguments.append(carried);
    carried = SmallVector<Value>(m.call(*op.getBody(), arguments));
    if (m.stopped()) return;
  }
  setResults(m, op, carried);
}

void runIf(Machine &m, scf::IfOp op) {
  Region &taken = m.get(op.getCondition()).scalar() ? op.getThenRegion() : op.getElseRegion();
  if (!taken.empty()) setResults(m, op, m.call(taken.front(), {}));
}

void runWhile(Machine &m, scf::WhileOp op) {
  SmallVector<Value> carried = valuesOf(m, op.getInits());
  for (uint64_t iterations = 0;; ++iterations) {
    if (m.options.whileLimit && iterations == m.options.whileLimit) {
      m.finding(op, "the loop has not ended after " + Twine(iterations) +
                        " iterations (programs run one after the other here, so none may wait for a later one; "
                        "MOEC_INTERP_ITERATIONS sets the limit, 0 is none)");
      return m.stop();
    }
    // scf.condition: whether to go on, then what both the after region and the results are given.
    SmallVector<Value> passed(m.call(*op.getBeforeBody(), carried, /*firstOperand=*/1));
    if (m.stopped()) return;
    if (!m.get(op.getConditionOp().getCondition()).scalar()) return setResults(m, op, passed);
    carried = SmallVector<Value>(m.call(*op.getAfterBody(), passed));
    if (m.stopped()) return;
  }
}

} // namespace

void registerControl(Table &table) {
  table.on<tile::GridOp>(runGrid);
  table.on<tile::ExpectOp>(runExpect);
  table.on<tile::ProgramIdOp>(
      [](Machine &m, tile::ProgramIdOp op) { m.setResult(op, {uint32_t(m.program[op.getAxis()])}); });
  table.on<tile::NumProgramsOp>(
      [](Machine &m, tile::NumProgramsOp op) { m.setResult(op, {uint32_t(m.options.grid[op.getAxis()])}); });
  table.on<tile::BarrierOp>([](Machine &, tile::BarrierOp) {});
  table.on<tile::AssertOp>(runAssert);
  table.on<scf::ForOp>(runFor);
  table.on<scf::IfOp>(runIf);
  table.on<scf::WhileOp>(runWhile);
}

} // namespace moec::compiler::interp
