// Runs of warp collectives become one runtime call each. A lane that reaches a collective must wait for the other
// lanes, and switching between lanes costs more than most collectives, so as many as possible share one rendezvous:
// within a block, operations that need no result of the run stay before it, operations that use its results move behind
// it, and an operand that is another member's result is passed from slot to slot without the lanes seeing it (ldmatrix
// feeding mma.sync).
#include "compiler/target/sim/Collectives.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"
#include "llvm/ADT/SetVector.h"

using namespace mlir;

namespace moec::compiler::simtarget {
using namespace moec::sim;

namespace {

constexpr unsigned kSlotBytes = 128;
constexpr unsigned kMaxBatchSlots = 448; // 56 KB: a batch should stay in the first-level cache
/// While batches are collected: the slot is a 4-byte one, counted apart from the pairs. A slot must mean the same bytes
/// of the same lane in every batch of a function, for a lane may begin the next batch while others still read their
/// results of the last one: so all pairs lie first and all 4-byte slots behind the greatest number of them.
constexpr unsigned kSingle = 1u << 16;

using Operand = CollectiveOperand;

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

/// For a pair: its place in the batch if both halves are the halves of one member result. False if only part of it is.
bool Batcher::pairPlace(const Operand &operand, std::optional<unsigned> &slot) {
  auto inBatch = [&](Value v) {
    return v.getDefiningOp() && (memberOf.contains(v.getDefiningOp()) || dependent.contains(v.getDefiningOp()));
  };
  if (!inBatch(operand.value) && !inBatch(operand.second)) return true;
  auto first = memberResult(operand.value), second = memberResult(operand.second);
  if (!first || !second || first->first != second->first || second->second >= second->first->results.size())
    return false;
  const ResultPlace &x = first->first->results[first->second], &y = second->first->results[second->second];
  if (x.width != Width::Pair || x.slot != y.slot || x.half != 0 || y.half != 1) return false;
  slot = x.slot;
  return true;
}

bool Batcher::canJoin(Operation *op, const Member &member, ArrayRef<Operand> operands) {
  if (members.empty()) return true;
  if (collectiveMask(op) != mask) return false;
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
    return extract == user || (isa<LLVM::ExtractValueOp>(extract) &&
                               llvm::all_of(extract->getUsers(), [&](Operation *u) { return u == user; }));
  });
}

llvm::Error Batcher::join(Operation *op, Block &block) {
  llvm::Expected<Collective> described = describeCollective(op);
  if (!described) return described.takeError();
  auto member = std::make_unique<Member>(Member{op, described->code, {}});
  member->code.loc = info.locations.add(op->getLoc());
  if (!canJoin(op, *member, described->operands)) {
    flush(op);
    described = describeCollective(op); // what it takes from the batch is loaded now
    if (!described) return described.takeError();
  }
  ArrayRef<Operand> operands = described->operands;
  ArrayRef<Width> results = described->results;
  if (members.empty()) mask = collectiveMask(op);
  SimBatchOp &code = member->code;
  code.num_in = operands.size();
  SmallVector<std::optional<unsigned>> inPlace; // a pair of C that D may overwrite
  for (auto [i, operand] : llvm::enumerate(operands)) {
    std::optional<uint32_t> immediate = code.opcode == kOpShfl && i > 0 ? knownInteger(operand.value) : std::nullopt;
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
  if (width != Width::Single)
    return cb.offset(loc, cb.field(loc, ptr, offsetof(SimContext, exchange8)), slot * kSlotBytes + 4 * half);
  Value base = cb.field(loc, ptr, offsetof(SimContext, exchange4));
  auto address = LLVM::GEPOp::create(b, loc, ptr, b.getI8Type(), base, ArrayRef<LLVM::GEPArg>{int32_t(0)});
  singleAddresses.push_back({address, slot & ~kSingle});
  return address;
}

void Batcher::storeOperand(Location loc, Value value, unsigned slot, Width width, unsigned half) {
  Type type = value.getType();
  if (isa<LLVM::LLVMPointerType>(type) && width == Width::Single)
    value = LLVM::PtrToIntOp::create(b, loc, b.getI32Type(), value);
  else if (type.isInteger() && type.getIntOrFloatBitWidth() < 32)
    value = LLVM::ZExtOp::create(b, loc, b.getI32Type(), value);
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
    if (needed)
      extract.replaceAllUsesWith(element(extract.getPosition()[0]));
    else if (!extract->use_empty())
      extract.replaceAllUsesWith(LLVM::PoisonOp::create(b, op->getLoc(), extract.getType()).getResult());
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
  program.global = LLVM::GlobalOp::create(mb, loc, type, /*isConstant=*/true, LLVM::Linkage::Internal, name, values,
                                          /*alignment=*/16);
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
  for (Operation *op = &block.front(); op;
       op = op->getNextNode()) { // a flush keeps `op`, but erases extractions on both sides of it
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
