#include "compiler/target/sim/Collectives.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "mlir/IR/Matchers.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;

namespace moec::compiler::simtarget {
using namespace moec::sim;

bool isWarpCollective(Operation *op) {
  return isa<NVVM::ShflOp, NVVM::VoteSyncOp, NVVM::MatchSyncOp, NVVM::ReduxOp, NVVM::ElectSyncOp, NVVM::LdMatrixOp,
             NVVM::StMatrixOp, NVVM::MmaOp>(op);
}

std::optional<uint32_t> knownInteger(Value value) {
  APInt bits;
  if (value && matchPattern(value, m_ConstantInt(&bits)) && bits.getBitWidth() <= 32)
    return static_cast<uint32_t>(bits.getZExtValue());
  return std::nullopt;
}

Value collectiveMask(Operation *op) {
  Value mask = llvm::TypeSwitch<Operation *, Value>(op)
                   .Case([](NVVM::ShflOp o) { return o.getThreadMask(); })
                   .Case([](NVVM::VoteSyncOp o) { return o.getMask(); })
                   .Case([](NVVM::MatchSyncOp o) { return o.getThreadMask(); })
                   .Case([](NVVM::ReduxOp o) { return o.getMaskAndClamp(); })
                   .Case([](NVVM::ElectSyncOp o) { return o.getMembermask(); })
                   .Default([](Operation *) { return Value(); });
  return knownInteger(mask) == 0xffffffffu ? Value() : mask;
}

namespace {

Width widthOf(Type type) {
  return type.isF64() || type.isInteger(64) || isa<LLVM::LLVMPointerType>(type) ? Width::Wide : Width::Single;
}

std::optional<uint32_t> mmaKind(NVVM::MmaOp op) {
  using T = NVVM::MMATypes;
  auto shape = op.getShape();
  if (op.getLayoutA() != NVVM::MMALayout::row || op.getLayoutB() != NVVM::MMALayout::col) return std::nullopt;
  if (op.getB1Op()) return std::nullopt;
  auto inferred = [](std::optional<T> given, ValueRange operands) {
    return given ? given : NVVM::MmaOp::inferOperandMMAType(operands.front().getType(), /*isAccumulator=*/false);
  };
  std::optional<T> a = inferred(op.getMultiplicandAPtxType(), op.getOperandA());
  std::optional<T> b = inferred(op.getMultiplicandBPtxType(), op.getOperandB());
  if (!a || !b) return std::nullopt;
  unsigned m = shape.getM(), n = shape.getN(), k = shape.getK();
  if (m == 8 && n == 8 && k == 4 && *a == T::f64) return kMmaF64;
  if (m != 16 || n != 8) return std::nullopt;
  uint32_t accum = isa<VectorType>(op.getOperandC().front().getType()) ? uint32_t(kMmaF16Accum) : 0u;
  if (*a == T::bf16 && *b == T::bf16)
    return k == 16 ? kMmaBf16K16 : k == 8 ? std::optional<uint32_t>(kMmaBf16K8) : std::nullopt;
  if (*a == T::f16 && *b == T::f16)
    return k == 16 ? kMmaF16K16 | accum : k == 8 ? std::optional<uint32_t>(kMmaF16K8 | accum) : std::nullopt;
  if (*a == T::tf32 && *b == T::tf32)
    return k == 8 ? kMmaTf32K8 : k == 4 ? std::optional<uint32_t>(kMmaTf32K4) : std::nullopt;
  if (k != 32) return std::nullopt;
  if (op.getIntOverflowBehavior() && *op.getIntOverflowBehavior() == NVVM::MMAIntOverflow::satfinite)
    return std::nullopt;
  if (*a == T::s8 && *b == T::s8) return kMmaS8K32;
  if (*a == T::u8 && *b == T::u8) return kMmaU8K32;
  return std::nullopt;
}

/// Fills in a collective; each returns whether its op has a form that the simulator knows.
class Describe {
public:
  explicit Describe(Collective &collective) : c(collective) {}

  bool shfl(NVVM::ShflOp op) {
    c.code.opcode = kOpShfl;
    switch (op.getKind()) {
    case NVVM::ShflKind::bfly: c.code.mode = kShflBfly; break;
    case NVVM::ShflKind::up: c.code.mode = kShflUp; break;
    case NVVM::ShflKind::down: c.code.mode = kShflDown; break;
    case NVVM::ShflKind::idx: c.code.mode = kShflIdx; break;
    }
    add({op.getVal(), op.getOffset(), op.getMaskAndClamp()});
    return gives(isa<LLVM::LLVMStructType>(op.getType()) ? 2 : 1);
  }

  bool vote(NVVM::VoteSyncOp op) {
    c.code.opcode = kOpVote;
    switch (op.getKind()) {
    case NVVM::VoteSyncKind::any: c.code.mode = kVoteAny; break;
    case NVVM::VoteSyncKind::all: c.code.mode = kVoteAll; break;
    case NVVM::VoteSyncKind::uni: c.code.mode = kVoteUni; break;
    case NVVM::VoteSyncKind::ballot: c.code.mode = kVoteBallot; break;
    }
    add(op.getPred());
    return gives(1);
  }

  bool match(NVVM::MatchSyncOp op) {
    bool all = op.getKind() == NVVM::MatchSyncKind::all;
    c.code.opcode = kOpMatch;
    c.code.mode = all | (op.getVal().getType().isInteger(64) ? 2 : 0);
    add(op.getVal());
    return gives(all ? 2 : 1);
  }

  bool redux(NVVM::ReduxOp op) {
    c.code.opcode = kOpRedux;
    switch (op.getKind()) {
    case NVVM::ReduxKind::ADD: c.code.mode = kReduxAdd; break;
    case NVVM::ReduxKind::AND: c.code.mode = kReduxAnd; break;
    case NVVM::ReduxKind::OR: c.code.mode = kReduxOr; break;
    case NVVM::ReduxKind::XOR: c.code.mode = kReduxXor; break;
    case NVVM::ReduxKind::MAX: c.code.mode = kReduxMax; break;
    case NVVM::ReduxKind::MIN: c.code.mode = kReduxMin; break;
    case NVVM::ReduxKind::UMAX: c.code.mode = kReduxUmax; break;
    case NVVM::ReduxKind::UMIN: c.code.mode = kReduxUmin; break;
    case NVVM::ReduxKind::FMIN: c.code.mode = kReduxFmin; break;
    case NVVM::ReduxKind::FMAX: c.code.mode = kReduxFmax; break;
    default: return false;
    }
    c.code.mode |= (op.getAbs() ? uint32_t(kReduxAbs) : 0u) | (op.getNan() ? uint32_t(kReduxNan) : 0u);
    add(op.getVal());
    return gives(1);
  }

  bool elect() {
    c.code.opcode = kOpElect;
    return gives(1);
  }

  /// ldmatrix and stmatrix of `count` matrices at `address`, which is an offset in shared memory.
  template <class Op> bool matrices(Op op, SimOpcode opcode, unsigned count, Value address) {
    c.code.opcode = opcode;
    c.code.mode = count | (op.getLayout() == NVVM::MMALayout::col ? 1u << 8 : 0u);
    c.operands.push_back({Width::Single, address, {}});
    return op.getShape().getM() == 8 && op.getShape().getN() == 8;
  }

  bool mma(NVVM::MmaOp op) {
    auto kind = mmaKind(op);
    if (!kind) return false;
    c.code.opcode = kOpMma;
    c.code.mode = *kind;
    add(op.getOperandA());
    add(op.getOperandB());
    OperandRange sums = op.getOperandC();
    Width width = widthOf(sums.front().getType());
    if (width == Width::Single && !(*kind & kMmaF16Accum)) {
      for (unsigned i = 0; i + 1 < sums.size(); i += 2) c.operands.push_back({Width::Pair, sums[i], sums[i + 1]});
      return gives(sums.size() / 2, Width::Pair);
    }
    add(sums);
    return gives(sums.size(), width);
  }

  void add(ValueRange values) {
    for (Value value : values) c.operands.push_back({widthOf(value.getType()), value, {}});
  }
  bool gives(unsigned count, Width width = Width::Single) {
    c.results.assign(count, width);
    return true;
  }

private:
  Collective &c;
};

} // namespace

llvm::Expected<Collective> describeCollective(Operation *op) {
  Collective collective;
  Describe d(collective);
  bool known = llvm::TypeSwitch<Operation *, bool>(op)
                   .Case([&](NVVM::ShflOp o) { return d.shfl(o); })
                   .Case([&](NVVM::VoteSyncOp o) { return d.vote(o); })
                   .Case([&](NVVM::MatchSyncOp o) { return d.match(o); })
                   .Case([&](NVVM::ReduxOp o) { return d.redux(o); })
                   .Case([&](NVVM::ElectSyncOp) { return d.elect(); })
                   .Case([&](NVVM::LdMatrixOp o) {
                     return d.matrices(o, kOpLdMatrix, o.getNum(), o.getPtr()) && d.gives(o.getNum());
                   })
                   .Case([&](NVVM::StMatrixOp o) {
                     bool square = d.matrices(o, kOpStMatrix, o.getSources().size(), o.getPtr());
                     d.add(o.getSources());
                     return square;
                   })
                   .Case([&](NVVM::MmaOp o) { return d.mma(o); })
                   .Default([](Operation *) { return false; });
  if (known) return collective;
  std::string text;
  llvm::raw_string_ostream(text) << op->getLoc() << ": the simulated GPU does not know this form of '" << op->getName()
                                 << "'";
  return llvm::createStringError(text);
}

} // namespace moec::compiler::simtarget
