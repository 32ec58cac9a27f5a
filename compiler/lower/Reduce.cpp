// tile.reduce: a balanced binary tree over the axis' index bits, lowest bit first, wherever these bits live.
//
// At every step the elements of a block of 2^b neighbours have become one value, and the layout (projected: index bits
// below b are gone) says who holds it. The value of the neighbouring block lies at a constant difference of places:
// another register, another lane (shfl.bfly; with several registers to do, each lane of a pair takes half of them), or
// another warp. Warps come last in sensible layouts; from the first bit that needs them on, one trip through shared
// memory gives every thread all that is left. So any layout works, and none can change the order.
#include "compiler/lower/Combiner.h"
#include "mlir/Dialect/Arith/IR/Arith.h"

using namespace mlir;

namespace moec::compiler {

using enum InDim;

namespace {
struct ReduceStep {
  /// Halve: like Pair across one lane bit, but of two registers each lane of the pair makes the result of one only.
  enum Kind { Pair, Halve, WholeWarp, Convert } kind;
  uint32_t bits = 0;     ///< index bits that this step reduces (Pair, Halve: one)
  Place partner;         ///< Pair, Halve; for Halve `reg` is the register bit that changes places with the lane bit
  LinearLayout from, to; ///< Convert: packed index bits; Halve: `to` is who holds what afterwards
  LinearLayout layout;   ///< who holds what before the step, in the operand's index
};

/// The whole course of a reduction, from types alone: lowering and scratchBytes follow the same one.
class ReducePlan {
public:
  ReducePlan(tile::ReduceOp op) : traits(op.getCombiner()), types(storageTypes(op.getOperands())) {
    auto tile = cast<RankedTensorType>(op.getOperands()[0].getType());
    layout = tilegpu::layoutOf(tile);
    uint32_t axis = maskOf(layout, op.getAxis());
    others = ((uint32_t(layout.numElements()) - 1) & ~axis);
    result = resultLayout(op.getResult(0).getType());
    for (uint32_t left = axis; left;) left = addStep(left);
    convertTo(result, others);
  }

  std::vector<ReduceStep> steps;
  CombinerTraits traits;

  int64_t scratchBytes() const {
    int64_t bytes = 0;
    for (const ReduceStep &s : steps)
      if (s.kind == ReduceStep::Convert) bytes = std::max(bytes, conversionScratchBytes(s.from, s.to, types));
    return bytes;
  }

private:
  /// The result's layout over its packed index; a scalar is held by all.
  LinearLayout resultLayout(Type type) {
    if (auto tile = dyn_cast<RankedTensorType>(type)) return tilegpu::layoutOf(tile).flattenOuts();
    return layoutOfBits(0, {}, {}, {}, layout.inBits(Warp));
  }

  /// Reduces at least one of the axis bits `left`; returns those still left.
  uint32_t addStep(uint32_t left) {
    PlaceFinder finder(layout);
    uint32_t bit = left & -left;
    if (traits.orderFree) bit = cheapest(finder, left);
    Place partner = finder.find(bit);
    if (partner.warp) {
      gather(left);
      return left;
    }
    if (uint32_t bits = partner.lane ? wholeWarpBits(finder, left) : 0) {
      take({ReduceStep::WholeWarp, bits, {}, {}, {}, layout});
      return left & ~bits;
    }
    if (uint32_t reg = partner.lane ? registerToHalve(finder, left, bit, partner) : 0)
      halve(bit, {reg, partner.lane, 0});
    else
      take({ReduceStep::Pair, bit, partner, {}, {}, layout});
    return left & ~bit;
  }

  /// A register bit whose two halves go to the two lanes of a pair, or 0. It saves shuffles at this and the following
  /// lane levels; an axis bit then is one more lane level itself, another must be spread out again at the end.
  uint32_t registerToHalve(const PlaceFinder &finder, uint32_t left, uint32_t bit, Place partner) const {
    if (partner.reg || !isPowerOf2(partner.lane)) return 0;
    int movers = 0, lanesLeft = 0;
    for (int i = 0; i < layout.totalInBits(); ++i) movers += (layout.packedBases()[i] & bit) != 0;
    if (movers != 1 || layout.flatBasis(Lane, std::countr_zero(partner.lane)) != bit) return 0;
    for (uint32_t rest = left; rest; rest &= rest - 1) {
      Place p = finder.find(rest & -rest);
      lanesLeft += p.lane && !p.warp;
    }
    uint32_t copies = layout.freeMasks()[int(Register)], other = 0;
    for (int i = layout.inBits(Register) - 1; i >= 0; --i) {
      if (copies >> i & 1) continue;
      if (layout.flatBasis(Register, i) & left) return lanesLeft >= 2 ? 1u << i : 0;
      if (!other) other = 1u << i;
    }
    return lanesLeft >= 3 ? other : 0;
  }

  void halve(uint32_t bit, Place place) {
    LinearLayout after(layout.shape());
    for (InDim in : {Register, Lane, Warp})
      for (int i = 0; i < layout.inBits(in); ++i) {
        uint32_t basis = layout.flatBasis(in, i);
        if (in == Register && place.reg == 1u << i) basis = 0;
        if (in == Lane && place.lane == 1u << i) basis = layout.flatBasis(Register, std::countr_zero(place.reg));
        after.addFlatBasis(in, basis);
      }
    steps.push_back({ReduceStep::Halve, bit, place, {}, after, layout});
    layout = after;
  }

  void take(ReduceStep step) {
    layout = project(layout, step.bits);
    steps.push_back(std::move(step));
  }

  static uint32_t cheapest(const PlaceFinder &finder, uint32_t left) {
    auto cost = [&](uint32_t bit) {
      Place p = finder.find(bit);
      return p.warp ? 2 : p.lane ? 1 : 0;
    };
    uint32_t best = left & -left;
    for (uint32_t rest = left; rest; rest &= rest - 1)
      if (cost(rest & -rest) < cost(best)) best = rest & -rest;
    return best;
  }

  /// The axis bits that one redux or vote over all lanes reduces, or 0.
  uint32_t wholeWarpBits(const PlaceFinder &finder, uint32_t left) const {
    bool vote = types[0].isInteger(1) && traits.idempotent;
    if (types.size() != 1 || !traits.redux() || !(types[0].isInteger(32) || vote)) return 0;
    uint32_t bits = 0;
    F2Span lanes;
    for (uint32_t rest = left; rest; rest &= rest - 1) {
      Place p = finder.find(rest & -rest);
      if (p.reg || p.warp) continue;
      bits |= rest & -rest;
      lanes.add(p.lane);
    }
    // Every lane takes part: either each has an element of its own, or copies do no harm and nothing else differs
    // between lanes.
    LinearLayout after = project(layout, bits);
    bool same = true;
    for (int i = 0; i < after.inBits(Lane); ++i) same &= after.flatBasis(Lane, i) == 0;
    return same && lanes.rank() >= (traits.idempotent ? 2 : 5) ? bits : 0;
  }

  /// Everything that is left of the axis into each thread's registers; if that is too much, into registers and lanes.
  void gather(uint32_t left) {
    int axisBits = std::popcount(left), resultRegisters = result.inBits(Register);
    uint32_t kept = others | left;
    LinearLayout to(Dims{int64_t(1) << std::popcount(kept)});
    if (axisBits + resultRegisters <= 6) {
      for (uint32_t rest = left; rest; rest &= rest - 1) to.addFlatBasis(Register, extractBits(rest & -rest, kept));
      for (InDim in : {Register, Lane, Warp})
        for (int i = 0; i < result.inBits(in); ++i)
          to.addFlatBasis(in, extractBits(depositBits(result.flatBasis(in, i), others), kept));
    } else {
      to = spread(left, kept);
    }
    steps.push_back({ReduceStep::Convert, 0, {}, compress(layout, kept), to, layout});
    layout = LinearLayout(layout.shape());
    for (InDim in : {Register, Lane, Warp})
      for (int i = 0; i < to.inBits(in); ++i) layout.addFlatBasis(in, depositBits(to.flatBasis(in, i), kept));
  }

  LinearLayout spread(uint32_t left, uint32_t kept) const {
    SmallVector<int> registers, lanes, warps;
    int perThread = std::max(0, std::popcount(left) - 5);
    for (uint32_t rest = left; rest; rest &= rest - 1) {
      int bit = std::countr_zero(extractBits(rest & -rest, kept));
      (int(registers.size()) < perThread ? registers : lanes).push_back(bit);
    }
    for (uint32_t rest = others; rest; rest &= rest - 1) {
      int bit = std::countr_zero(extractBits(rest & -rest, kept));
      (lanes.size() < 5 ? lanes : int(warps.size()) < layout.inBits(Warp) ? warps : registers).push_back(bit);
    }
    return layoutOfBits(std::popcount(kept), registers, lanes, warps, layout.inBits(Warp));
  }

  void convertTo(const LinearLayout &target, uint32_t kept) {
    LinearLayout from = compress(layout, kept);
    steps.push_back({ReduceStep::Convert, 0, {}, from, target, layout});
  }

  LinearLayout layout; ///< who holds what so far, in the operand's index
  LinearLayout result; ///< over the packed index bits `others`
  uint32_t others;     ///< index bits that are not the axis'
  SmallVector<Type> types;
};

class Reducer {
public:
  Reducer(Lowering &l, tile::ReduceOp op) : l(l), op(op), plan(op), combine(l, op.getCombiner()), scratch(l, op) {
    for (Value operand : op.getOperands()) values.push_back(Registers(l.regs(operand)));
  }

  LogicalResult lower() {
    for (const ReduceStep &step : plan.steps) {
      if (step.kind == ReduceStep::Convert)
        values = convertTogether(l, scratch, values, step.from, step.to);
      else if (step.kind == ReduceStep::Halve)
        halve(step);
      else
        reduce(step);
      if (combine.failed()) return failure();
    }
    for (auto [result, registers] : llvm::zip(op.getResults(), values)) l.setRegs(result, registers);
    return success();
  }

private:
  void reduce(const ReduceStep &step) {
    SmallVector<Registers> before = values;
    SmallVector<unsigned> canonical = canonicalRegisters(step.layout);
    for (unsigned r = 0; r < canonical.size(); ++r) {
      unsigned other = canonical[r ^ step.partner.reg];
      bool known = canonical[r] != r || (step.kind == ReduceStep::Pair && !step.partner.lane && other < r);
      unsigned source = canonical[r] != r ? canonical[r] : other;
      setElement(values, r, known ? elementAt(values, source) : combined(step, before, r, other));
    }
  }

  void halve(const ReduceStep &step) {
    SmallVector<Registers> before = values;
    SmallVector<unsigned> canonical = canonicalRegisters(step.to);
    Value upper = threadParity(l, {step.partner.lane, 0});
    for (unsigned r = 0; r < canonical.size(); ++r) {
      if (canonical[r] != r) {
        setElement(values, r, elementAt(values, canonical[r]));
        continue;
      }
      Element low = elementAt(before, r), high = elementAt(before, r | step.partner.reg);
      Element own = selectElement(l, upper, high, low);
      Element got = shuffleElement(l, selectElement(l, upper, low, high), step.partner.lane);
      setElement(values, r,
                 combine.traits.commutative
                     ? combine(own, got)
                     : combine(selectElement(l, upper, got, own), selectElement(l, upper, own, got)));
    }
  }

  Element combined(const ReduceStep &step, ArrayRef<Registers> before, unsigned r, unsigned other) {
    Element own = elementAt(before, r);
    if (step.kind == ReduceStep::WholeWarp) return {overWarp(own[0])};
    Element partner = elementAt(before, other);
    if (step.partner.lane) partner = shuffleElement(l, partner, step.partner.lane);
    if (combine.traits.commutative) return combine(own, partner);
    int bit = std::countr_zero(step.bits);
    Value right = threadParity(l, threadBits(step.layout, bit));   // this thread's block is the right one
    if (registerBit(step.layout, r, bit)) std::swap(own, partner); // now: the left one, if `right` does not hold
    if (!right) return combine(own, partner);
    return combine(selectElement(l, right, partner, own), selectElement(l, right, own, partner));
  }

  Value overWarp(Value v) {
    auto &b = l.b;
    NVVM::ReduxKind kind = *combine.traits.redux();
    if (!v.getType().isInteger(1)) return NVVM::ReduxOp::create(b, l.loc, v.getType(), v, kind, l.i32(-1));
    // i1 is true = -1 = greatest unsigned = least signed.
    bool any = kind == NVVM::ReduxKind::OR || kind == NVVM::ReduxKind::UMAX || kind == NVVM::ReduxKind::MIN;
    return NVVM::VoteSyncOp::create(b, l.loc, b.getI1Type(), l.i32(-1), v,
                                    any ? NVVM::VoteSyncKind::any : NVVM::VoteSyncKind::all);
  }

  Lowering &l;
  tile::ReduceOp op;
  ReducePlan plan;
  Combiner combine;
  Scratch scratch;
  SmallVector<Registers> values;
};
} // namespace

static LogicalResult lowerReduce(Lowering &l, Operation *op) { return Reducer(l, cast<tile::ReduceOp>(op)).lower(); }

int64_t reduceScratchBytes(tile::ReduceOp op) { return ReducePlan(op).scratchBytes(); }

void registerScanLowering(MLIRContext *, HandlerTable &); // Scan.cpp
int64_t scanScratchBytes(tile::ScanOp op);

void registerReductionLowerings(MLIRContext *context, HandlerTable &table) {
  table[OperationName(tile::ReduceOp::getOperationName(), context)] = lowerReduce;
  registerScanLowering(context, table);
}

int64_t reductionScratchBytes(Operation *op, int) {
  if (auto reduce = dyn_cast<tile::ReduceOp>(op)) return reduceScratchBytes(reduce);
  if (auto scan = dyn_cast<tile::ScanOp>(op)) return scanScratchBytes(scan);
  return 0;
}

} // namespace moec::compiler
