// Runs of warp collectives become one runtime call each. A lane that reaches a collective must wait for the other lanes, and
// switching between lanes costs more than most collectives, so as many as possible share one rendezvous: within a block,
// operations that need no result of the run stay before it, operations that use its results move behind it, and an operand
// that is another member's result is passed from slot to slot without the lanes seeing it (ldmatrix feeding mma.sync).
#include "compiler/target/sim/SimLowering.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "mlir/IR/Matchers.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"
#include "llvm/ADT/SetVector.h"

using namespace mlir;

namespace moec::compiler::simtarget {
using namespace moec::sim;

bool isWarpCollective(Operation *op) {
  return isa<NVVM::ShflOp, NVVM::VoteSyncOp, NVVM::MatchSyncOp, NVVM::ReduxOp, NVVM::ElectSyncOp, NVVM::LdMatrixOp,
             NVVM::StMatrixOp, NVVM::MmaOp>(op);
}

namespace {

constexpr unsigned kSlotBytes = 128;
constexpr unsigned kMaxBatchSlots = 448; // 56 KB: a batch should stay in the first-level cache
/// While batches are collected: the slot is a 4-byte one, counted apart from the pairs. A slot must mean the same bytes of the same lane in
/// every batch of a function, for a lane may begin the next batch while others still read their results of the last one: so all pairs
/// lie first and all 4-byte slots behind the greatest number of them.
constexpr unsigned kSingle = 1u << 16;

/// How a register travels: 4 bytes per lane, 8 bytes per lane, or two f32/i32 registers side by side.
enum class Width { Single, Wide, Pair };

struct Operand {
  Width width;
  Value value, second; ///< `second` only for Pair
};

/// A member's result register: `slot`, and which half of a pair.
struct ResultPlace {
  unsigned slot;
  Width width;
  unsigned half;
};

struct Member {
  Operation *op;
  SimBatchOp code{};
  SmallVector<ResultPlace> results;
};

std::optional<uint32_t> constantOf(Value value) {
  APInt bits;
  if (value && matchPattern(value, m_ConstantInt(&bits)) && bits.getBitWidth() <= 32)
    return static_cast<uint32_t>(bits.getZExtValue());
  return std::nullopt;
}

/// The lanes that take part; null means all 32.
Value maskOf(Operation *op) {
  Value mask;
  if (auto shfl = dyn_cast<NVVM::ShflOp>(op)) mask = shfl.getThreadMask();
  else if (auto vote = dyn_cast<NVVM::VoteSyncOp>(op)) mask = vote.getMask();
  else if (auto match = dyn_cast<NVVM::MatchSyncOp>(op)) mask = match.getThreadMask();
  else if (auto redux = dyn_cast<NVVM::ReduxOp>(op)) mask = redux.getMaskAndClamp();
  else if (auto elect = dyn_cast<NVVM::ElectSyncOp>(op)) mask = elect.getMembermask();
  return constantOf(mask) == 0xffffffffu ? Value() : mask;
}

Width widthOf(Type type) {
  return type.isF64() || type.isInteger(64) || isa<LLVM::LLVMPointerType>(type) ? Width::Wide : Width::Single;
}

llvm::Error unknownForm(Operation *op) {
  std::string text;
  llvm::raw_string_ostream(text) << op->getLoc() << ": the simulated GPU does not know this form of '" << op->getName() << "'";
  return llvm::createStringError(text);
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
  if (*a == T::bf16 && *b == T::bf16) return k == 16 ? kMmaBf16K16 : k == 8 ? std::optional<uint32_t>(kMmaBf16K8) : std::nullopt;
  if (*a == T::f16 && *b == T::f16)
    return k == 16 ? kMmaF16K16 | accum : k == 8 ? std::optional<uint32_t>(kMmaF16K8 | accum) : std::nullopt;
  if (*a == T::tf32 && *b == T::tf32) return k == 8 ? kMmaTf32K8 : k == 4 ? std::optional<uint32_t>(kMmaTf32K4) : std::nullopt;
  if (k != 32) return std::nullopt;
  auto f8 = [](T type) { return type == T::e4m3 || type == T::e5m2; };
  if (f8(*a) && f8(*b)) {
    uint32_t kind = *a == T::e4m3 ? (*b == T::e4m3 ? kMmaE4M3K32 : kMmaE4M3E5M2K32) : (*b == T::e4m3 ? kMmaE5M2E4M3K32 : kMmaE5M2K32);
    return kind | accum;
  }
  if (op.getIntOverflowBehavior() && *op.getIntOverflowBehavior() == NVVM::MMAIntOverflow::satfinite) return std::nullopt;
  if (*a == T::s8 && *b == T::s8) return kMmaS8K32;
  if (*a == T::u8 && *b == T::u8) return kMmaU8K32;
  return std::nullopt;
}

class Batcher {
public:
  Batcher(LLVM::LLVMFuncOp func, SimModuleInfo &info)
      : b(func.getContext()), cb(b, func.getBody().front().getArgument(0)), func(func), info(info) {}

  llvm::Error run() {
    for (Block &block : func.getBody())
      if (llvm::Error error = runOnBlock(block)) return error;
    placeSlots();
    return llvm::Error::success();
  }

private:
  llvm::Error runOnBlock(Block &block);
  llvm::Error describe(Operation *op, Member &member, SmallVectorImpl<Operand> &operands, SmallVectorImpl<Width> &results);
  std::optional<std::pair<Member *, unsigned>> memberResult(Value value);
  bool dependsOnBatch(Operation *op);
  bool canJoin(Operation *op, const Member &member, ArrayRef<Operand> operands);
  bool pairPlace(const Operand &operand, std::optional<unsigned> &slot);
  llvm::Error join(Operation *op, Block &block);
  unsigned operandSlot(const Operand &operand, bool &fresh);
  bool onlyUsedBy(Operation *producer, Operation *user);
  void flush(Operation *before);
  void storeOperand(Location loc, Value value, unsigned slot, Width width, unsigned half);
  Value loadResult(Location loc, Type type, const ResultPlace &place);
  void replaceResults(Member &member);
  LLVM::GlobalOp makeProgram(Location loc);
  Value slotAddress(Location loc, unsigned slot, Width width, unsigned half);
  void placeSlots();
  unsigned newSlot(Width width) {
    if (width == Width::Single) return kSingle | singles++;
    return 2 * pairs++;
  }

  OpBuilder b;
  ContextBuilder cb;
  LLVM::LLVMFuncOp func;
  SimModuleInfo &info;

  // The batch being collected.
  std::vector<std::unique_ptr<Member>> members;
  DenseMap<Operation *, Member *> memberOf;
  SetVector<Operation *> dependent; ///< pure operations that use results of the batch, in program order
  struct Store {
    Value value;
    unsigned slot;
    Width width;
    unsigned half;
  };
  SmallVector<Store> stores;
  DenseMap<Value, unsigned> storedSlots;
  Value mask;
  unsigned singles = 0, pairs = 0;
  bool reads = false, writes = false;

  // All batches.
  struct Program {
    LLVM::GlobalOp global;
    std::vector<SimBatchOp> codes;
  };
  std::vector<Program> programs;
  SmallVector<std::pair<LLVM::GEPOp, unsigned>> singleAddresses; ///< to be placed, and their slots
  unsigned mostSingles = 0, mostPairs = 0;
};

/// Follows extractvalue and same-size bitcasts to a result register of a member.
std::optional<std::pair<Member *, unsigned>> Batcher::memberResult(Value value) {
  unsigned index = 0;
  while (Operation *def = value.getDefiningOp()) {
    if (auto it = memberOf.find(def); it != memberOf.end()) return std::pair(it->second, index);
    if (auto extract = dyn_cast<LLVM::ExtractValueOp>(def)) {
      if (extract.getPosition().size() != 1) return std::nullopt;
      index = extract.getPosition()[0];
      value = extract.getContainer();
    } else if (auto cast = dyn_cast<LLVM::BitcastOp>(def)) {
      value = cast.getArg();
    } else {
      return std::nullopt;
    }
  }
  return std::nullopt;
}

bool Batcher::dependsOnBatch(Operation *op) {
  if (members.empty()) return false;
  return llvm::any_of(op->getOperands(), [&](Value operand) {
    Operation *def = operand.getDefiningOp();
    return def && (memberOf.contains(def) || dependent.contains(def));
  });
}

static void addAll(ValueRange values, SmallVectorImpl<Operand> &operands) {
  for (Value value : values) operands.push_back({widthOf(value.getType()), value, {}});
}

static void addPairs(ValueRange values, SmallVectorImpl<Operand> &operands) {
  for (unsigned i = 0; i + 1 < values.size(); i += 2) operands.push_back({Width::Pair, values[i], values[i + 1]});
}

llvm::Error Batcher::describe(Operation *op, Member &member, SmallVectorImpl<Operand> &operands, SmallVectorImpl<Width> &results) {
  SimBatchOp &code = member.code;
  code.loc = info.locations.add(op->getLoc());
  if (auto shfl = dyn_cast<NVVM::ShflOp>(op)) {
    code.opcode = kOpShfl;
    switch (shfl.getKind()) {
    case NVVM::ShflKind::bfly: code.mode = kShflBfly; break;
    case NVVM::ShflKind::up: code.mode = kShflUp; break;
    case NVVM::ShflKind::down: code.mode = kShflDown; break;
    case NVVM::ShflKind::idx: code.mode = kShflIdx; break;
    }
    addAll({shfl.getVal(), shfl.getOffset(), shfl.getMaskAndClamp()}, operands);
    results.assign(isa<LLVM::LLVMStructType>(shfl.getType()) ? 2 : 1, Width::Single);
  } else if (auto vote = dyn_cast<NVVM::VoteSyncOp>(op)) {
    code.opcode = kOpVote;
    switch (vote.getKind()) {
    case NVVM::VoteSyncKind::any: code.mode = kVoteAny; break;
    case NVVM::VoteSyncKind::all: code.mode = kVoteAll; break;
    case NVVM::VoteSyncKind::uni: code.mode = kVoteUni; break;
    case NVVM::VoteSyncKind::ballot: code.mode = kVoteBallot; break;
    }
    addAll(vote.getPred(), operands);
    results.assign(1, Width::Single);
  } else if (auto match = dyn_cast<NVVM::MatchSyncOp>(op)) {
    code.opcode = kOpMatch;
    bool all = match.getKind() == NVVM::MatchSyncKind::all;
    code.mode = all | (match.getVal().getType().isInteger(64) ? 2 : 0);
    addAll(match.getVal(), operands);
    results.assign(all ? 2 : 1, Width::Single);
  } else if (auto redux = dyn_cast<NVVM::ReduxOp>(op)) {
    code.opcode = kOpRedux;
    switch (redux.getKind()) {
    case NVVM::ReduxKind::ADD: code.mode = kReduxAdd; break;
    case NVVM::ReduxKind::AND: code.mode = kReduxAnd; break;
    case NVVM::ReduxKind::OR: code.mode = kReduxOr; break;
    case NVVM::ReduxKind::XOR: code.mode = kReduxXor; break;
    case NVVM::ReduxKind::MAX: code.mode = kReduxMax; break;
    case NVVM::ReduxKind::MIN: code.mode = kReduxMin; break;
    case NVVM::ReduxKind::UMAX: code.mode = kReduxUmax; break;
    case NVVM::ReduxKind::UMIN: code.mode = kReduxUmin; break;
    case NVVM::ReduxKind::FMIN: code.mode = kReduxFmin; break;
    case NVVM::ReduxKind::FMAX: code.mode = kReduxFmax; break;
    default: return unknownForm(op);
    }
    code.mode |= (redux.getAbs() ? uint32_t(kReduxAbs) : 0u) | (redux.getNan() ? uint32_t(kReduxNan) : 0u);
    addAll(redux.getVal(), operands);
    results.assign(1, Width::Single);
  } else if (isa<NVVM::ElectSyncOp>(op)) {
    code.opcode = kOpElect;
    results.assign(1, Width::Single);
  } else if (auto load = dyn_cast<NVVM::LdMatrixOp>(op)) {
    if (load.getShape().getM() != 8 || load.getShape().getN() != 8) return unknownForm(op);
    code.opcode = kOpLdMatrix;
    code.mode = load.getNum() | (load.getLayout() == NVVM::MMALayout::col ? 1u << 8 : 0u);
    addAll(load.getPtr(), operands);
    operands.back().width = Width::Single;
    results.assign(load.getNum(), Width::Single);
  } else if (auto store = dyn_cast<NVVM::StMatrixOp>(op)) {
    if (store.getShape().getM() != 8 || store.getShape().getN() != 8) return unknownForm(op);
    code.opcode = kOpStMatrix;
    code.mode = store.getSources().size() | (store.getLayout() == NVVM::MMALayout::col ? 1u << 8 : 0u);
    addAll(store.getPtr(), operands);
    operands.back().width = Width::Single;
    addAll(store.getSources(), operands);
  } else {
    auto mma = cast<NVVM::MmaOp>(op);
    auto kind = mmaKind(mma);
    if (!kind) return unknownForm(op);
    code.opcode = kOpMma;
    code.mode = *kind;
    addAll(mma.getOperandA(), operands);
    addAll(mma.getOperandB(), operands);
    bool pairs = widthOf(mma.getOperandC().front().getType()) == Width::Single && !(*kind & kMmaF16Accum);
    if (pairs) addPairs(mma.getOperandC(), operands);
    else addAll(mma.getOperandC(), operands);
    unsigned registers = mma.getOperandC().size();
    results.assign(pairs ? registers / 2 : registers, pairs ? Width::Pair : widthOf(mma.getOperandC().front().getType()));
  }
  return llvm::Error::success();
}

/// For a pair: its place in the batch if both halves are the halves of one member result. False if only part of it is.
bool Batcher::pairPlace(const Operand &operand, std::optional<unsigned> &slot) {
  auto inBatch = [&](Value v) { return v.getDefiningOp() && (memberOf.contains(v.getDefiningOp()) || dependent.contains(v.getDefiningOp())); };
  if (!inBatch(operand.value) && !inBatch(operand.second)) return true;
  auto first = memberResult(operand.value), second = memberResult(operand.second);
  if (!first || !second || first->first != second->first || second->second >= second->first->results.size()) return false;
  const ResultPlace &x = first->first->results[first->second], &y = second->first->results[second->second];
  if (x.width != Width::Pair || x.slot != y.slot || x.half != 0 || y.half != 1) return false;
  slot = x.slot;
  return true;
}

bool Batcher::canJoin(Operation *op, const Member &member, ArrayRef<Operand> operands) {
  if (members.empty()) return true;
  if (maskOf(op) != mask) return false;
  bool load = member.code.opcode == kOpLdMatrix, store = member.code.opcode == kOpStMatrix;
  if ((load && writes) || (store && (reads || writes))) return false;
  if (singles + 2 * pairs + 24 > kMaxBatchSlots) return false;
  for (const Operand &operand : operands) {
    if (operand.width == Width::Pair) {
      std::optional<unsigned> slot;
      if (!pairPlace(operand, slot)) return false;
      continue;
    }
    Operation *def = operand.value.getDefiningOp();
    if (!def || (!memberOf.contains(def) && !dependent.contains(def))) continue;
    auto result = memberResult(operand.value);
    if (!result || result->second >= result->first->results.size()) return false;
    if (result->first->results[result->second].width != operand.width) return false;
  }
  return true;
}

/// The slot that holds `operand` when the batch runs; notes a store by every lane if it comes from outside.
unsigned Batcher::operandSlot(const Operand &operand, bool &fresh) {
  fresh = false;
  if (operand.width == Width::Pair) {
    std::optional<unsigned> slot;
    pairPlace(operand, slot);
    if (slot) return *slot;
    fresh = true;
    unsigned place = newSlot(Width::Pair); // aligned to 256 bytes: rows of eight floats
    stores.push_back({operand.value, place, Width::Pair, 0});
    stores.push_back({operand.second, place, Width::Pair, 1});
    return place;
  }
  if (auto result = memberResult(operand.value)) return result->first->results[result->second].slot;
  auto [it, inserted] = storedSlots.try_emplace(operand.value, 0);
  if (!inserted) return it->second;
  it->second = newSlot(operand.width);
  stores.push_back({operand.value, it->second, operand.width, 0});
  return it->second;
}

bool Batcher::onlyUsedBy(Operation *producer, Operation *user) {
  return llvm::all_of(producer->getUsers(), [&](Operation *extract) {
    return extract == user ||
           (isa<LLVM::ExtractValueOp>(extract) && llvm::all_of(extract->getUsers(), [&](Operation *u) { return u == user; }));
  });
}

llvm::Error Batcher::join(Operation *op, Block &block) {
  auto member = std::make_unique<Member>();
  member->op = op;
  SmallVector<Operand> operands;
  SmallVector<Width> results;
  if (llvm::Error error = describe(op, *member, operands, results)) return error;
  if (!canJoin(op, *member, operands)) flush(op);
  if (members.empty()) mask = maskOf(op);
  SimBatchOp &code = member->code;
  code.num_in = operands.size();
  SmallVector<std::optional<unsigned>> inPlace; // a pair of C that D may overwrite
  for (auto [i, operand] : llvm::enumerate(operands)) {
    std::optional<uint32_t> immediate = code.opcode == kOpShfl && i > 0 ? constantOf(operand.value) : std::nullopt;
    if (immediate) {
      code.in[i] = *immediate;
      code.mode |= 1u << (8 + i);
      continue;
    }
    bool fresh;
    code.in[i] = operandSlot(operand, fresh);
    if (operand.width != Width::Pair) continue;
    bool own = fresh || onlyUsedBy(memberResult(operand.value)->first->op, op);
    inPlace.push_back(own ? std::optional<unsigned>(code.in[i]) : std::nullopt);
  }
  code.num_out = results.size();
  for (auto [i, width] : llvm::enumerate(results)) {
    unsigned slot = width == Width::Pair && i < inPlace.size() && inPlace[i] ? *inPlace[i] : newSlot(width);
    code.out[i] = slot;
    if (width == Width::Pair) {
      member->results.push_back({slot, width, 0});
      member->results.push_back({slot, width, 1});
    } else {
      member->results.push_back({slot, width, 0});
    }
  }
  reads |= code.opcode == kOpLdMatrix;
  writes |= code.opcode == kOpStMatrix;
  memberOf[op] = member.get();
  members.push_back(std::move(member));
  return llvm::Error::success();
}

/// Where this lane's part of a slot lies.
Value Batcher::slotAddress(Location loc, unsigned slot, Width width, unsigned half) {
  auto ptr = LLVM::LLVMPointerType::get(b.getContext());
  if (width != Width::Single) return cb.offset(loc, cb.field(loc, ptr, offsetof(SimContext, exchange8)), slot * kSlotBytes + 4 * half);
  Value base = cb.field(loc, ptr, offsetof(SimContext, exchange4));
  auto address = LLVM::GEPOp::create(b, loc, ptr, b.getI8Type(), base, ArrayRef<LLVM::GEPArg>{int32_t(0)});
  singleAddresses.push_back({address, slot & ~kSingle});
  return address;
}

void Batcher::storeOperand(Location loc, Value value, unsigned slot, Width width, unsigned half) {
  Type type = value.getType();
  if (isa<LLVM::LLVMPointerType>(type) && width == Width::Single) value = LLVM::PtrToIntOp::create(b, loc, b.getI32Type(), value);
  else if (type.isInteger() && type.getIntOrFloatBitWidth() < 32) value = LLVM::ZExtOp::create(b, loc, b.getI32Type(), value);
  LLVM::StoreOp::create(b, loc, value, slotAddress(loc, slot, width, half), /*alignment=*/4);
}

Value Batcher::loadResult(Location loc, Type type, const ResultPlace &place) {
  Value address = slotAddress(loc, place.slot, place.width, place.half);
  bool narrow = type.isInteger() && type.getIntOrFloatBitWidth() < 32;
  Value value = LLVM::LoadOp::create(b, loc, narrow ? b.getI32Type() : type, address, /*alignment=*/4);
  return narrow ? LLVM::TruncOp::create(b, loc, type, value).getResult() : value;
}

void Batcher::replaceResults(Member &member) {
  Operation *op = member.op;
  if (op->getNumResults() == 0 || op->use_empty()) return;
  Type type = op->getResult(0).getType();
  auto structType = dyn_cast<LLVM::LLVMStructType>(type);
  if (!structType) {
    op->getResult(0).replaceAllUsesWith(loadResult(op->getLoc(), type, member.results[0]));
    return;
  }
  // Only what is asked for is loaded: results that pass from member to member within the batch stay in the buffer.
  DenseMap<int64_t, Value> loaded;
  auto element = [&](int64_t i) {
    Value &value = loaded[i];
    if (!value) value = loadResult(op->getLoc(), structType.getBody()[i], member.results[i]);
    return value;
  };
  for (Operation *user : llvm::make_early_inc_range(op->getUsers())) {
    auto extract = dyn_cast<LLVM::ExtractValueOp>(user);
    if (!extract || extract.getPosition().size() != 1) continue;
    bool needed = llvm::any_of(extract->getUsers(), [&](Operation *u) { return !memberOf.contains(u); });
    if (needed) extract.replaceAllUsesWith(element(extract.getPosition()[0]));
    else if (!extract->use_empty()) extract.replaceAllUsesWith(LLVM::PoisonOp::create(b, op->getLoc(), extract.getType()).getResult());
    dependent.remove(extract);
    extract.erase();
  }
  if (op->use_empty()) return;
  Value whole = LLVM::PoisonOp::create(b, op->getLoc(), type);
  for (unsigned i = 0; i < structType.getBody().size(); ++i)
    whole = LLVM::InsertValueOp::create(b, op->getLoc(), whole, element(i), ArrayRef<int64_t>{i});
  op->getResult(0).replaceAllUsesWith(whole);
}

/// The words of a batch.
static DenseElementsAttr programWords(MLIRContext *context, ArrayRef<SimBatchOp> codes) {
  std::vector<int32_t> words{static_cast<int32_t>(codes.size()), static_cast<int32_t>(codes.front().loc)};
  for (const SimBatchOp &code : codes) {
    const auto *raw = reinterpret_cast<const int32_t *>(&code);
    words.insert(words.end(), raw, raw + sizeof(SimBatchOp) / 4);
  }
  auto type = RankedTensorType::get({static_cast<int64_t>(words.size())}, IntegerType::get(context, 32));
  return DenseElementsAttr::get(type, ArrayRef<int32_t>(words));
}

LLVM::GlobalOp Batcher::makeProgram(Location loc) {
  Program &program = programs.emplace_back();
  for (auto &member : members) program.codes.push_back(member->code);
  DenseElementsAttr values = programWords(b.getContext(), program.codes);
  OpBuilder mb(func->getParentOfType<ModuleOp>().getBodyRegion());
  auto type = LLVM::LLVMArrayType::get(mb.getI32Type(), values.getNumElements());
  std::string name = "moec_batch_" + func.getSymName().str() + "_" + std::to_string(programs.size() - 1);
  program.global = LLVM::GlobalOp::create(mb, loc, type, /*isConstant=*/true, LLVM::Linkage::Internal, name, values, /*alignment=*/16);
  return program.global;
}

/// Now that the number of pairs is known, the 4-byte slots get their places behind them.
void Batcher::placeSlots() {
  auto placed = [&](uint32_t slot) { return slot & kSingle ? 2 * mostPairs + (slot & ~kSingle) : slot; };
  for (Program &program : programs) {
    for (SimBatchOp &code : program.codes) {
      for (uint32_t i = 0; i < code.num_in; ++i)
        if (code.opcode != kOpShfl || i == 0 || !(code.mode >> (8 + i) & 1)) code.in[i] = placed(code.in[i]);
      for (uint32_t i = 0; i < code.num_out; ++i) code.out[i] = placed(code.out[i]);
    }
    program.global.setValueAttr(programWords(b.getContext(), program.codes));
  }
  for (auto &[address, slot] : singleAddresses)
    address.setRawConstantIndices({static_cast<int32_t>(placed(kSingle | slot) * kSlotBytes)});
  info.exchangeSlots = std::max(info.exchangeSlots, 2 * mostPairs + mostSingles);
}

void Batcher::flush(Operation *before) {
  if (members.empty()) return;
  b.setInsertionPoint(before);
  Location loc = members.front()->op->getLoc();
  for (const Store &store : stores) storeOperand(loc, store.value, store.slot, store.width, store.half);
  LLVM::GlobalOp program = makeProgram(loc);
  Value address = LLVM::AddressOfOp::create(b, loc, program);
  Value lanes = mask ? mask : cb.i32(loc, 0xffffffff);
  cb.call(loc, kFnBatch, LLVM::LLVMVoidType::get(b.getContext()), {address, lanes});
  for (auto &member : members) replaceResults(*member);
  for (Operation *op : dependent) op->moveBefore(before);
  for (auto &member : llvm::reverse(members)) member->op->erase();
  mostSingles = std::max(mostSingles, singles);
  mostPairs = std::max(mostPairs, pairs);
  members.clear();
  memberOf.clear();
  dependent.clear();
  stores.clear();
  storedSlots.clear();
  mask = {};
  singles = pairs = 0;
  reads = writes = false;
}

llvm::Error Batcher::runOnBlock(Block &block) {
  for (Operation &operation : llvm::make_early_inc_range(block)) {
    Operation *op = &operation;
    if (isWarpCollective(op)) {
      if (llvm::Error error = join(op, block)) return error;
      continue;
    }
    if (members.empty()) continue;
    bool pure = op->getNumRegions() == 0 && !op->hasTrait<OpTrait::IsTerminator>() && isMemoryEffectFree(op);
    bool uses = dependsOnBatch(op);
    if (pure) {
      if (uses) dependent.insert(op);
      continue;
    }
    auto load = dyn_cast<LLVM::LoadOp>(op);
    auto store = dyn_cast<LLVM::StoreOp>(op);
    bool plainLoad = load && !load.getVolatile_() && load.getOrdering() == LLVM::AtomicOrdering::not_atomic;
    bool plainStore = store && !store.getVolatile_() && store.getOrdering() == LLVM::AtomicOrdering::not_atomic;
    if (!uses && ((plainLoad && !writes) || (plainStore && !reads && !writes))) continue;
    flush(op);
  }
  assert(members.empty() && "a terminator ends every batch");
  return llvm::Error::success();
}

} // namespace

llvm::Error batchCollectives(LLVM::LLVMFuncOp func, SimModuleInfo &info) { return Batcher(func, info).run(); }

} // namespace moec::compiler::simtarget
