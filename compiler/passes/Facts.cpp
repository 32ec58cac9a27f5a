#include "compiler/passes/Facts.h"

#include "mlir/IR/Matchers.h"

#include <numeric>

using namespace mlir;
using namespace moec::tile;
using namespace moec::compiler;

namespace {
std::optional<int64_t> constantOf(Value v) {
  Attribute attr;
  if (!matchPattern(v, m_Constant(&attr))) return std::nullopt;
  if (auto splat = dyn_cast<SplatElementsAttr>(attr)) attr = splat.getSplatValue<Attribute>();
  if (auto integer = dyn_cast<IntegerAttr>(attr)) return integer.getValue().getSExtValue();
  return std::nullopt;
}

/// The operand, where the op only repeats or moves elements.
Value sameElements(Operation *op) {
  if (isa_and_nonnull<SplatOp, BroadcastOp, ExpandDimsOp, ReshapeOp, TransOp>(op)) return op->getOperand(0);
  return {};
}

IntRange clamp(__int128 lo, __int128 hi, unsigned bits) {
  __int128 max = (__int128(1) << (bits - 1)) - 1, min = -max - 1;
  if (lo < min || hi > max || lo > hi) return {}; // may wrap
  return IntRange::of(int64_t(lo), int64_t(hi));
}
} // namespace

IntFacts::IntFacts(KernelOp kernel) {
  for (auto grid : kernel.getBody().front().getOps<GridOp>())
    for (auto [i, extent] : llvm::enumerate(grid.getExtents())) extents[i] = extent;
}

IntRange IntFacts::range(Value v) {
  Type element = getElementTypeOrSelf(v.getType());
  if (!element.isInteger(32) && !element.isInteger(64)) return {};
  if (auto it = ranges.find(v); it != ranges.end()) return it->second;
  ranges[v] = {}; // a cycle through a loop-carried value knows nothing
  return ranges[v] = computeRange(v);
}

IntRange IntFacts::computeRange(Value v) {
  unsigned bits = getElementTypeOrSelf(v.getType()).getIntOrFloatBitWidth();
  if (auto c = constantOf(v)) return IntRange::of(*c, *c);
  if (auto arg = dyn_cast<BlockArgument>(v)) {
    Operation *parent = arg.getOwner()->getParentOp();
    if (auto kernel = dyn_cast<KernelOp>(parent))
      return kernel.getArgAttr(arg.getArgNumber(), "tile.nonnegative") ? IntRange::of(0, INT32_MAX) : IntRange();
    if (auto loop = dyn_cast<scf::ForOp>(parent); loop && loop.getInductionVar() == v) {
      IntRange lo = range(loop.getLowerBound()), hi = range(loop.getUpperBound());
      if (lo.known)
        return IntRange::of(lo.lo, hi.known ? std::max(lo.lo, hi.hi - 1) : (bits == 32 ? INT32_MAX : INT64_MAX));
    }
    return {};
  }
  Operation *op = v.getDefiningOp();
  if (Value same = sameElements(op)) return range(same);
  auto binary = [&](auto f) -> IntRange {
    IntRange x = range(op->getOperand(0)), y = range(op->getOperand(1));
    return x.known && y.known ? f(x, y) : IntRange();
  };
  return TypeSwitch<Operation *, IntRange>(op)
      .Case<ArangeOp>([&](ArangeOp a) {
        int64_t start = (int32_t)a.getStart();
        return IntRange::of(start, start + a.getType().getNumElements() - 1);
      })
      .Case<ProgramIdOp>([&](ProgramIdOp p) {
        Value extent = extents[p.getAxis()];
        IntRange e = extent ? range(extent) : IntRange();
        return IntRange::of(0, e.known ? std::max<int64_t>(0, e.hi - 1) : INT32_MAX);
      })
      .Case<NumProgramsOp>([&](auto) { return IntRange::of(1, INT32_MAX); })
      .Case<arith::AddIOp>([&](auto) {
        return binary(
            [&](IntRange x, IntRange y) { return clamp(__int128(x.lo) + y.lo, __int128(x.hi) + y.hi, bits); });
      })
      .Case<arith::SubIOp>([&](auto) {
        return binary(
            [&](IntRange x, IntRange y) { return clamp(__int128(x.lo) - y.hi, __int128(x.hi) - y.lo, bits); });
      })
      .Case<arith::MulIOp>([&](auto) {
        return binary([&](IntRange x, IntRange y) {
          __int128 p[] = {__int128(x.lo) * y.lo, __int128(x.lo) * y.hi, __int128(x.hi) * y.lo, __int128(x.hi) * y.hi};
          return clamp(*std::min_element(p, p + 4), *std::max_element(p, p + 4), bits);
        });
      })
      .Case<arith::DivSIOp, arith::DivUIOp>([&](auto) {
        return binary([&](IntRange x, IntRange y) {
          return x.lo >= 0 && y.lo >= 1 ? IntRange::of(x.lo / y.hi, x.hi / y.lo) : IntRange();
        });
      })
      .Case<arith::RemSIOp, arith::RemUIOp>([&](auto) {
        return binary([&](IntRange x, IntRange y) {
          return x.lo >= 0 && y.lo >= 1 ? IntRange::of(0, std::min(x.hi, y.hi - 1)) : IntRange();
        });
      })
      .Case<arith::MinSIOp>([&](auto) {
        return binary([&](IntRange x, IntRange y) { return IntRange::of(std::min(x.lo, y.lo), std::min(x.hi, y.hi)); });
      })
      .Case<arith::MaxSIOp>([&](auto) {
        return binary([&](IntRange x, IntRange y) { return IntRange::of(std::max(x.lo, y.lo), std::max(x.hi, y.hi)); });
      })
      .Case<arith::SelectOp>([&](arith::SelectOp s) {
        IntRange x = range(s.getTrueValue()), y = range(s.getFalseValue());
        return x.known && y.known ? IntRange::of(std::min(x.lo, y.lo), std::max(x.hi, y.hi)) : IntRange();
      })
      .Case<arith::ExtSIOp>([&](auto) { return range(op->getOperand(0)); })
      .Case<arith::TruncIOp>([&](auto) {
        IntRange x = range(op->getOperand(0));
        return x.known ? clamp(x.lo, x.hi, bits) : IntRange();
      })
      .Case<CastOp>([&](CastOp c) {
        Type from = getElementTypeOrSelf(c.getValue().getType());
        if (from.isInteger(1)) return IntRange::of(0, 1);
        if (from.isInteger(8)) return c.getUnsignedInput() ? IntRange::of(0, 255) : IntRange::of(-128, 127);
        IntRange x = range(c.getValue());
        return from.isInteger() && x.known ? clamp(x.lo, x.hi, bits) : IntRange();
      })
      .Case<HistogramOp>([&](auto) { return IntRange::of(0, 1 << 20); })
      .Default([](Operation *) { return IntRange(); });
}

int64_t IntFacts::divisor(Value v) {
  if (auto c = constantOf(v)) return std::abs(*c);
  if (auto arg = dyn_cast<BlockArgument>(v)) {
    Operation *parent = arg.getOwner()->getParentOp();
    if (auto kernel = dyn_cast<KernelOp>(parent)) {
      auto attr = kernel.getArgAttrOfType<IntegerAttr>(arg.getArgNumber(), "tile.divisor");
      return attr ? attr.getInt() : 1;
    }
    if (auto loop = dyn_cast<scf::ForOp>(parent); loop && loop.getInductionVar() == v)
      return std::gcd(divisor(loop.getLowerBound()), divisor(loop.getStep()));
    return 1;
  }
  Operation *op = v.getDefiningOp();
  if (isa<SplatOp, BroadcastOp, ExpandDimsOp, ReshapeOp, TransOp, arith::ExtSIOp>(op))
    return divisor(op->getOperand(0));
  if (isa<arith::AddIOp, arith::SubIOp, arith::MinSIOp, arith::MaxSIOp>(op))
    return std::gcd(divisor(op->getOperand(0)), divisor(op->getOperand(1)));
  if (isa<arith::MulIOp>(op)) {
    int64_t x = divisor(op->getOperand(0)), y = divisor(op->getOperand(1));
    return x > (1 << 20) || y > (1 << 20) ? std::max(x, y) : x * y;
  }
  if (isa<arith::DivSIOp>(op)) {
    auto d = constantOf(op->getOperand(1));
    int64_t x = divisor(op->getOperand(0));
    if (d && *d > 0 && x % *d == 0) return x / *d;
  }
  return 1;
}

void IntFacts::Linear::add(Value v, int64_t coefficient) {
  for (auto &[term, c] : terms)
    if (term == v) return void(c += coefficient);
  terms.push_back({v, coefficient});
}

IntFacts::Linear IntFacts::linear(Value v, int depth) {
  Linear result;
  IntRange r = range(v);
  if (r.known && r.lo == r.hi) return result.lo = result.hi = r.lo, result;
  Operation *op = v.getDefiningOp();
  if (depth < 16) {
    if (Value same = op ? sameElements(op) : Value()) return linear(same, depth + 1);
    if (isa_and_nonnull<arith::ExtSIOp>(op)) return linear(op->getOperand(0), depth + 1);
    if (isa_and_nonnull<arith::AddIOp>(op)) {
      result = linear(op->getOperand(0), depth + 1);
      Linear y = linear(op->getOperand(1), depth + 1);
      for (auto &[term, c] : y.terms) result.add(term, c);
      result.lo += y.lo, result.hi += y.hi;
      return result;
    }
    if (isa_and_nonnull<arith::MulIOp>(op)) {
      for (int side : {0, 1}) {
        auto c = constantOf(op->getOperand(side));
        if (!c || *c < 0 || *c > INT32_MAX) continue;
        result = linear(op->getOperand(1 - side), depth + 1);
        for (auto &[term, coefficient] : result.terms) coefficient *= *c;
        result.lo *= *c, result.hi *= *c;
        return result;
      }
    }
  }
  if (isa_and_nonnull<ArangeOp>(op)) return result.lo = r.lo, result.hi = r.hi, result;
  result.add(v, 1);
  return result;
}

bool IntFacts::isNonnegative(Value v) {
  IntRange r = range(v);
  return r.known && r.lo >= 0;
}

bool IntFacts::isCeilDiv(Value v, Value numerator, int64_t denominator) {
  Operation *op = v.getDefiningOp();
  if (!op || op->getNumOperands() != 2 || constantOf(op->getOperand(1)) != denominator) return false;
  if (isa<arith::CeilDivSIOp>(op)) return op->getOperand(0) == numerator;
  auto add = op->getOperand(0).getDefiningOp<arith::AddIOp>();
  if (!isa<arith::DivSIOp>(op) || !add) return false;
  return (add.getLhs() == numerator && constantOf(add.getRhs()) == denominator - 1) ||
         (add.getRhs() == numerator && constantOf(add.getLhs()) == denominator - 1);
}

std::optional<int64_t> IntFacts::slackBelow(Value term, int64_t coefficient, Value bound) {
  if (auto pid = term.getDefiningOp<ProgramIdOp>()) {
    Value extent = extents[pid.getAxis()];
    if (!extent) return std::nullopt;
    if (extent == bound && coefficient == 1) return 1; // pid <= bound - 1
    if (isCeilDiv(extent, bound, coefficient)) {
      // The last program starts at bound - coefficient if the bound is a multiple; else just below the bound.
      return divisor(bound) % coefficient == 0 ? coefficient : 1;
    }
  }
  if (auto arg = dyn_cast<BlockArgument>(term)) {
    auto loop = dyn_cast<scf::ForOp>(arg.getOwner()->getParentOp());
    if (!loop || loop.getInductionVar() != term || coefficient != 1 || loop.getUpperBound() != bound)
      return std::nullopt;
    auto step = constantOf(loop.getStep());
    bool aligned = step && *step > 0 && divisor(loop.getLowerBound()) % *step == 0 && divisor(bound) % *step == 0;
    return aligned ? *step : 1;
  }
  return std::nullopt;
}

bool IntFacts::provesBelow(Value index, Value bound, bool nonnegative) {
  IntRange i = range(index), b = range(bound);
  if (i.known && b.known && i.hi < b.lo && (!nonnegative || i.lo >= 0)) return true;
  Linear x = linear(index);
  if (nonnegative &&
      (x.lo < 0 || llvm::any_of(x.terms, [&](auto &t) { return t.second < 0 || !isNonnegative(t.first); })))
    return false;
  while (Value same = bound.getDefiningOp() ? sameElements(bound.getDefiningOp()) : Value()) bound = same;
  if (auto ext = bound.getDefiningOp<arith::ExtSIOp>()) bound = ext.getIn();
  if (x.terms.size() != 1) return false;
  auto slack = slackBelow(x.terms[0].first, x.terms[0].second, bound);
  return slack && x.hi < *slack;
}

std::optional<bool> IntFacts::decide(arith::CmpIOp cmp) {
  using P = arith::CmpIPredicate;
  Value x = cmp.getLhs(), y = cmp.getRhs();
  P p = cmp.getPredicate();
  auto swap = [&](P q) { std::swap(x, y), p = q; };
  switch (p) { // a > b is b < a, a >= b is not a < b
  case P::ugt: swap(P::ult); break;
  case P::sgt: swap(P::slt); break;
  case P::uge:
  case P::sge:
  case P::ule:
  case P::sle: {
    bool isUnsigned = p == P::uge || p == P::ule;
    if (p == P::ule || p == P::sle) std::swap(x, y); // x >= y
    IntRange a = range(x), b = range(y);
    if (!a.known || !b.known || (isUnsigned && (a.lo < 0 || b.lo < 0))) return std::nullopt;
    if (a.lo >= b.hi) return true;
    if (a.hi < b.lo) return false;
    return std::nullopt;
  }
  default: break;
  }
  IntRange a = range(x), b = range(y);
  bool known = a.known && b.known;
  switch (p) {
  case P::ult:
    // Unsigned: the bound must be a size (not negative), or huge values would count as small.
    if (isNonnegative(y) && provesBelow(x, y, true)) return true;
    return known && a.lo >= 0 && b.lo >= 0 && a.lo >= b.hi ? std::optional(false) : std::nullopt;
  case P::slt:
    if (provesBelow(x, y, false)) return true;
    return known && a.lo >= b.hi ? std::optional(false) : std::nullopt;
  case P::eq:
  case P::ne:
    if (known && (a.hi < b.lo || b.hi < a.lo)) return p == P::ne;
    if (known && a.lo == a.hi && b.lo == b.hi && a.lo == b.lo) return p == P::eq;
    return std::nullopt;
  default: return std::nullopt;
  }
}
