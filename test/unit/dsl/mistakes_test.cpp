// clang-format off: a mistake and its line stand on one line of the test.
// Mistakes in kernels: each names the user's line, what was asked, the types of both sides, and what would be right.
#include "recorded.h"

using namespace moec;
using namespace moec::test;
using testing::HasSubstr;

namespace {

using Kernel = void (*)(const NoSpec &, View x, View y, View ix, View h, View b, View q, Int n, Int w, Float s, Pointer p);

/// x f32[.], y f32[., .], ix i32[.], h bf16[., .], b u8[.], q e4m3[.]; n i32, w i64, s f32, p pointer to i32.
void expect_mistake(Kernel kernel, int line, const std::string &message) {
  try {
    record(kernel, NoSpec{},
           {view(f32, 1), view(f32, 2), view(i32, 1), view(bf16, 2), view(u8, 1), view(e4m3, 1), scalar(i32), scalar(i64), scalar(f32), pointer(i32)});
  } catch (const KernelError &e) {
    EXPECT_EQ(std::string(e.what()), std::string(__FILE__) + ":" + std::to_string(line) + ": " + message);
    EXPECT_EQ(e.line(), line);
    return;
  }
  ADD_FAILURE() << "no error at line " << line << ", expected: " << message;
}

#define KERNEL(...)                                                                                                                                     \
  +[](const NoSpec &, [[maybe_unused]] View x, [[maybe_unused]] View y, [[maybe_unused]] View ix, [[maybe_unused]] View h, [[maybe_unused]] View b,     \
      [[maybe_unused]] View q, [[maybe_unused]] Int n, [[maybe_unused]] Int w, [[maybe_unused]] Float s, [[maybe_unused]] Pointer p) {                  \
    grid(1);                                                                                                                                            \
    [[maybe_unused]] Tile i = arange(16);                                                                                                               \
    __VA_ARGS__;                                                                                                                                        \
  }
#define MISTAKE(message, ...) expect_mistake(KERNEL(__VA_ARGS__), __LINE__, message)

TEST(DslMistakes, Operators) {
  MISTAKE("f32[16] + bf16[16]: dtypes do not mix; cast one of them, for instance the right one to f32", load(x(i)) + load(h(0, i)));
  MISTAKE("i32[16] * f32[16]: dtypes do not mix; cast one of them, for instance the left one to f32", i * load(x(i)));
  MISTAKE("bf16[16] * scalar f32: dtypes do not mix; cast one of them, for instance the left one to f32", load(h(0, i)) * s);
  MISTAKE("i32[16] + scalar i64: dtypes do not mix; cast one of them, for instance the left one to i64", i + w);
  MISTAKE("u8[16] == i8[16]: dtypes do not mix; cast one of them, for instance the right one to u8", Tile t = load(b(i)) == cast(i, i8));
  MISTAKE("i32[16] + f32[8]: dtypes do not mix; cast one of them, for instance the left one to f32", i + zeros({8}, f32));
  MISTAKE("i32[16] + i32[8]: shapes [16] and [8] do not broadcast: dimension 0 has 16 and 8; only dimensions of size 1 repeat: use expand_dims or reshape", i + arange(8));
  MISTAKE("i32[16, 1] < i32[4, 8]: shapes [16, 1] and [4, 8] do not broadcast: dimension 0 has 16 and 4; only dimensions of size 1 repeat: use expand_dims or reshape", Tile t = expand_dims(i, 1) < zeros({4, 8}, i32));
  MISTAKE("i32[16] + 0.5: the literal 0.5 is not a i32; write an integer, or cast the i32 to a float dtype", i + 0.5);
  MISTAKE("i32[16] + 4294967296: the literal 4294967296 is not a i32; it is out of range: cast the other side to a wider dtype", i + 4294967296);
  MISTAKE("u8[16] - -1: the literal -1 is not a u8; it is out of range: cast the other side to a wider dtype", load(b(i)) - -1);
  MISTAKE("i32[16] + 2.0: the literal 2.0 is not a i32; write an integer, or cast the i32 to a float dtype", i + 2.0);
  MISTAKE("f32[16] + true: the literal true is not a f32; write 0.0 or 1.0", load(x(i)) + true);
  MISTAKE("bool[16] == 2: the literal 2 is not a bool; write true or false", Tile t = (i > 1) == 2);
  MISTAKE("bool[16] + bool[16]: bool has no operator +; cast to i32 first, or combine masks with &, | and ^", (i > 1) + (i < 3));
  MISTAKE("bool[16] < bool[16]: bool values have no order; use ==, !=, &, | or cast to i32", Tile t = (i > 1) < (i < 3));
  MISTAKE("f32[16] & f32[16]: f32 has no operator &; cast to an integer dtype first, or bitcast to work on the bits", load(x(i)) & load(x(i)));
  MISTAKE("f32[16] % 2: f32 has no operator %; cast to an integer dtype first, or bitcast to work on the bits", load(x(i)) % 2);
  MISTAKE("e4m3[16] + e4m3[16]: e4m3 is a format to store and to multiply in dot(); cast both sides to f32 first", load(q(i)) + load(q(i)));
  MISTAKE("!i32[16]: i32 has no operator !; compare with 0: x == 0", !i);
  MISTAKE("~f32[16]: f32 has no operator ~; bitcast to an integer dtype first", ~load(x(i)));
  MISTAKE("-(bool[16]): bool has no operator -; cast it first", -(i > 1));
}

TEST(DslMistakes, Handles) {
  MISTAKE("Int from i32[16]: it holds a scalar i8, u8, i32 or i64; declare it as Tile, or reduce it to a scalar: sum(), max()", Int k = i);
  MISTAKE("Int from scalar f32: it holds a scalar i8, u8, i32 or i64; cast it, or declare the variable as the kind of scalar that it is", Int k = s);
  MISTAKE("Float from scalar i32: it holds a scalar of a float dtype; cast it, or declare the variable as the kind of scalar that it is", Float k = n);
  MISTAKE("Bool from scalar i32: it holds a scalar bool; cast it, or declare the variable as the kind of scalar that it is", Bool k = n);
  MISTAKE("Int from i32[16]: it holds a scalar i8, u8, i32 or i64; declare it as Tile, or reduce it to a scalar: sum(), max()", n += i);
  MISTAKE("+: the handle is empty: nothing was assigned to it; give it a value where it is declared", Tile e; e + i);
  MISTAKE("Int: the handle is empty: nothing was assigned to it; give it a value where it is declared", Tile e; Int k = e);
  MISTAKE("exp: the value was made inside a loop or branch that has ended; assign it to a variable declared before the loop or branch", std::vector<Tile> v; for (Int k : range(4)) { v.push_back(k + 1); } exp(v[0]));
}

TEST(DslMistakes, HandlesOfAnotherRecording) {
  static Tile *kept = nullptr;
  Tile outside; // made before any recording
  kept = &outside;
  record(KERNEL(*kept = i), NoSpec{}, {view(f32, 1), view(f32, 2), view(i32, 1), view(bf16, 2), view(u8, 1), view(e4m3, 1), scalar(i32), scalar(i64), scalar(f32), pointer(i32)});
  MISTAKE("+: the handle belongs to another recording; make it inside this kernel; global and static handles do not work", i + *kept);
  MISTAKE("view_load: the value was made inside a loop or branch that has ended; assign it to a variable declared before the loop or branch", ElementRef ref; for (Int k : range(n)) { ref = x(k); } load(ref));
  MISTAKE("load: the handle belongs to another recording; make it inside this kernel; global and static handles do not work", static ElementRef ref = x(i); ref.recording = 0; load(ref));
  try {
    Tile t = 3;
    ADD_FAILURE() << "a literal outside of a kernel";
  } catch (const KernelError &e) {
    EXPECT_THAT(e.what(), HasSubstr("mistakes_test.cpp:" + std::to_string(__LINE__ - 3) + ": use of the DSL: no kernel is being recorded; call this inside a kernel function"));
  }
}

TEST(DslMistakes, Shapes) {
  MISTAKE("arange(48): 48 is not a power of two; use lanes(48), which pads and gives the mask of the real lanes", arange(48));
  MISTAKE("arange(8, 8): 0 is not a power of two; use lanes(0), which pads and gives the mask of the real lanes", arange(8, 8));
  MISTAKE("arange: a tile [1073741824] of 1073741824 elements; a tile has at most 1048576 elements: use a smaller block, or a loop", lanes(2147483647));
  MISTAKE("lanes(0): there is no lane; n is at least 1", lanes(0));
  MISTAKE("zeros: dimension 1 of [16, 24] is not a power of two; pad with next_pow2() or lanes(), and mask", zeros({16, 24}, f32));
  MISTAKE("zeros: a tile [2048, 1024] of 2097152 elements; a tile has at most 1048576 elements: use a smaller block, or a loop", zeros({2048, 1024}, f32));
  MISTAKE("zeros: a tile of rank 6; tiles have at most 5 dimensions", zeros({1, 1, 1, 1, 1, 2}, f32));
  MISTAKE("full([4], scalar i32, f32): the value is scalar i32; cast(value, f32)", full({4}, n, f32));
  MISTAKE("full([4], i32[16], i32): the value is i32[16]; give a scalar, or use broadcast()", full({4}, i, i32));
  MISTAKE("broadcast(i32[16], [4, 8]): shapes [16] and [4, 8] do not broadcast: dimension 1 has 16 and 8; only dimensions of size 1 repeat: use expand_dims or reshape", broadcast(i, {4, 8}));
  MISTAKE("broadcast(i32[16], [1]): [16] does not broadcast to [1]; reduce it, or reshape it", broadcast(i, {1}));
  MISTAKE("expand_dims(i32[16], 3): there is no such place; axes are 0 to 1, or -1 for after the last", expand_dims(i, 3));
  MISTAKE("expand_dims(scalar i32): it takes a tile; make a tile of the scalar with full() or broadcast()", expand_dims(n, 0));
  MISTAKE("reshape(i32[16], [8]): 16 elements do not become 8; both shapes need the same number of elements", reshape(i, {8}));
  MISTAKE("trans(i32[16]): a matrix has 2 dimensions; give the order: trans(x, {0, 2, 1})", trans(i));
  MISTAKE("trans(i32[4, 4]): the order is not a permutation of its dimensions; name each of 0 to 1 once", trans(reshape(i, {4, 4}), {0, 0}));
}

TEST(DslMistakes, Functions) {
  MISTAKE("exp(i32[16]): it takes f16, bf16, f32 or f64; exp(cast(x, f32))", exp(i));
  MISTAKE("sigmoid(bf16[16]): it takes f32 or f64; sigmoid(cast(x, f32))", sigmoid(load(h(0, i))));
  MISTAKE("fast_exp2(scalar i64): it takes f32; fast_exp2(cast(x, f32))", fast_exp2(w));
  MISTAKE("abs(bool[16]): it takes f16, bf16, f32 or f64; abs(cast(x, f32))", abs(i > 2));
  MISTAKE("fma(f32[16], scalar i32, 1): dtypes do not mix; cast all three to f32", fma(load(x(i)), n, 1));
  MISTAKE("cdiv(7, 0): the divisor is not positive; correct the constants that it is made of", int zero = 0; cdiv(7, zero));
  MISTAKE("cdiv(i32[16], scalar f32): it divides integers; use / and ceil() for floats", cdiv(i, s));
  MISTAKE("where(i32[16], ...): the condition is bool; compare: x != 0", where(i, 1, 2));
  MISTAKE("where(bool[16], f32[16], i32[16]): dtypes do not mix; cast one of them, for instance the right one to f32", where(i > 1, load(x(i)), i));
  MISTAKE("bitcast(i32[16], f16): i32 has 32 bits, f16 has 16; use a dtype of the same width, or cast", bitcast(i, f16));
  MISTAKE("sum(bool[16]): bool has no sum; any() and all() combine bools; to count, cast to i32", sum(i > 3));
  MISTAKE("any(i32[16]): i32 has no any; compare first: x != 0", any(i));
  MISTAKE("max(scalar i32): it takes a tile; a scalar has nothing to combine", max(n));
  MISTAKE("reduce along axis 2: the tile [16] has 1 dimensions; axes are 0 to 0, or -1 for the last", sum(i, 2));
  MISTAKE("combiner of reduce: it gives scalar bool for scalar i32; it gives the dtype that it gets: cast the tile first", reduce(i, 0, [](Tile l, Tile r) { return l > r; }));
  MISTAKE("addi: a combiner uses a value from outside; a combiner uses its arguments and literals only", reduce(i, 0, [&](Tile l, Tile) { return l + n; }));
  MISTAKE("view_load: a combiner of reduce() or scan() only computes; load and store outside", reduce(i, 0, [&](Tile, Tile) { return load(ix(3)); }));
  MISTAKE("reduce(i32[16], i32[8]): the shapes differ; broadcast them to one shape", reduce(std::array<Tile, 2>{i, arange(8)}, 0, [](auto l, auto) { return l; }));
  MISTAKE("sort of bool: it has no order to sort by; cast the keys to i32 or f32", sort(i > 3));
  MISTAKE("topk(i32[16], 17): the last axis has 16 elements; k is at least 1 and at most that", topk(i, 17));
  MISTAKE("histogram(f32[16]): it counts i32; cast(x, i32)", histogram(load(x(i)), 8));
  MISTAKE("dot(f32[16, 4], f32[16, 4]): it multiplies [M, K] by [K, N]; the first tile's columns are the second's rows: use trans()", dot(zeros({16, 4}, f32), zeros({16, 4}, f32)));
  MISTAKE("dot(f32[4, 4], bf16[4, 4]): it does not multiply f32 by bf16; both f16, both bf16, both f32, both f64, or e4m3 and e5m2 in any mix", dot(zeros({4, 4}, f32), zeros({4, 4}, bf16)));
  MISTAKE("dot(bf16[4, 4], bf16[4, 4], bf16[4, 4]): the sum is f32[4, 4]; start with zeros({4, 4}, f32)", dot(zeros({4, 4}, bf16), zeros({4, 4}, bf16), zeros({4, 4}, bf16)));
  MISTAKE("program_id(3): a grid has axes 0, 1 and 2", program_id(3));
  MISTAKE("device_assert(i32[16]): the condition is bool; compare: x != 0", device_assert(i, "x"));
  MISTAKE("device_assert: 3 values to print; give two at most", device_assert(i > 3, "x", {i, i, i}));
  MISTAKE("device_assert with \"{1}\" in its message: values given to print: 1; give a value for each place; {0} is the first", device_assert(i > 3, "{0} of {1}", {i}));
  MISTAKE("device_assert(bool[16]): scalar f32 is not printed; i32 and i64 are: cast(x, i32)", device_assert(i > 3, "x", {s}));
  MISTAKE("device_assert(bool[16]): i32[8] is printed for each element of the condition; give a scalar, or a tile of the condition's shape", device_assert(i > 3, "x", {arange(8)}));
}

TEST(DslMistakes, Memory) {
  MISTAKE("store of f32[16] into view of bf16 with rank 2: the dtypes differ; write the rounding down: cast(value, bf16)", store(h(0, i), load(x(i))));
  MISTAKE("store of i32[16] at indices of shape []: several values would meet in one element; give indices of the value's shape, or reduce the value", store(ix(0), i));
  MISTAKE("view(1 indices): the view of f32 with rank 2; give 2 indices, one per dimension", load(y(i)));
  MISTAKE("view(...): f32[16] as an index; indices are i32 or i64: cast(index, i32)", load(x(load(x(i)))));
  MISTAKE("load with mask i32[16]: a mask is bool; compare: mask != 0", load(x(i), i));
  MISTAKE("load of f32 with other scalar i32: `other` is a scalar f32; cast it, or use where() on the loaded tile", load(x(i), i > 2, n));
  MISTAKE("load: the literal 0.5 is not a i32; write an integer, or cast the i32 to a float dtype", load(ix(i), i > 2, 0.5));
  MISTAKE("view.tile(): i32[16] where a scalar is needed; give an Int", load(y.tile({i, 0}, {16, 16})));
  MISTAKE("view.tile() with 1 origins and shape [16]: the view of f32 with rank 2; give one origin and one size per dimension", load(y.tile({0}, {16})));
  MISTAKE("view.tile(): dimension 0 of [24, 16] is not a power of two; pad with next_pow2() or lanes(), and mask", load(y.tile({0, 0}, {24, 16})));
  MISTAKE("sizes<1>(): the view has rank 2; use sizes<2>()", y.sizes<1>());
  MISTAKE("size(2): the view has rank 2; dimensions are 0 to 1", y.size(2));
  MISTAKE("at(): the view has rank 1; an element is load(view(i))", x.at(0));
  MISTAKE("pointer + i32[16]: a pointer moves by a scalar; elements at a tile of offsets are pointer[tile]", p + i);
  MISTAKE("atomic_max on view of bf16 with rank 2: there is no such atomic on bf16; add takes i32, i64, f16, bf16, f32, f64; the others i32, i64, f32, f64", atomic_max(h(0, i), 1));
  MISTAKE("atomic_cas on view of f32 with rank 1: it compares i32 or i64, not f32; bitcast the memory on the host, or use atomic_exchange", atomic_cas(x(i), 0, 1));
  MISTAKE("assignment of a View inside a recorded loop or branch: it was declared outside; declare a View inside the body, or carry an Int offset instead", View v = y; for (Int k : range(n)) { v = y.rows_from(k); });
}

TEST(DslMistakes, Loops) {
  const std::string here = std::string(__FILE__) + ":";
  auto in = [&](const char *what, int line) { return std::string("assignment inside the ") + what + " at " + here + std::to_string(line) + ": "; };
  MISTAKE(in("loop", __LINE__) + "the variable is scalar i32 before the loop and scalar f32 at the end of its body; a carried variable keeps its type: cast(value, i32)", Tile v = 0; for (Int k : range(n)) v = s * 2);
  MISTAKE(in("loop", __LINE__) + "the variable is f32[16] before the loop and f32[4, 4] at the end of its body; a carried variable keeps its shape: give it its final shape before", Tile v = zeros({16}, f32); for (Int k : range(n)) v = reshape(v, {4, 4}));
  MISTAKE(in("loop", __LINE__) + "the variable is scalar i32 before the loop and scalar i64 at the end of its body; a carried variable keeps its type: cast(value, i32)", Int v = 0; for (Int k : range(w)) v = v + k);
  MISTAKE(in("loop", __LINE__) + "the variable is empty before the loop, and f32[16] in it; give it its first value before the loop, or declare it inside", Tile v; for (Int k : range(n)) v = load(x(i)));
  MISTAKE(in("while_", __LINE__) + "the variable is scalar i32 before the while_ and scalar f32 at the end of its body; a carried variable keeps its type: cast(value, i32)", Tile v = 0; while_([&] { return n > 0; }, [&] { v = s * 2; }));
  MISTAKE(in("branch", __LINE__) + "the variable is scalar i32 after one side and scalar f32 after the other; both sides leave the same dtype and shape: cast, or broadcast", Tile v = 0; when(n > 0, [&] { v = n + 1; }, [&] { v = s * 2; }));
  MISTAKE(in("branch", __LINE__) + "the variable is empty before the branch and only one side gives it a value (scalar i32); give it a value before when(), or on both sides", Int v; when(n > 0, [&] { v = n + 1; }));
  MISTAKE("assignment to a loop variable: it is the variable of the recorded loop at " + here + std::to_string(__LINE__) + "; copy it into a variable of the body: Int j = i;", for (Int k : range(n)) k = k + 1);
  MISTAKE("assignment to a loop variable: it is the variable of the recorded loop at " + here + std::to_string(__LINE__) + "; copy it into a variable of the body: Int j = i;", for (Int k : range(n)) for (Int l : range(n)) k += 1);
  const std::string left = "recorded loop: it was left early, by break, return or goto; a recorded loop has one body and runs to its end: use a mask, when() or while_()";
  MISTAKE(left, for (Int k : range(n)) { store(x(k), 1); break; } store(x(0), 2));
  MISTAKE(left, for (Int k : range(n)) { store(x(k), 1); if (true) return; });
  MISTAKE(left, for (Int k : range(n)) for (Int l : range(n)) { break; });
  MISTAKE("range with step 0: a recorded loop counts upwards; give a positive step; to go down, use hi - 1 - i", for (Int k : range(0, n, 0)) store(x(k), 1));
  MISTAKE("range(0, scalar i32, 2.0): 2.0 is not a bound; bounds and step are scalar i32 or i64", for (Int k : range(0, n, 2.0)) store(x(k), 1));
  MISTAKE("range(0, scalar f32, 1): scalar f32 is not a bound; bounds and step are scalar i32 or i64", for (Int k : range(s)) store(x(k), 1));
  MISTAKE("range(0, i32[16], 1): i32[16] is not a bound; bounds and step are scalar i32 or i64", for (Int k : range(i)) store(x(k), 1));
  MISTAKE("when(bool[16]): the condition is a scalar bool; use where() or masks for tiles, or reduce: any(), all()", when(i > 3, [] {}));
  MISTAKE("when(scalar i32): the condition is a scalar bool; compare: x != 0", when(n, [] {}));
  MISTAKE("while_ with condition bool[16]: the condition is a scalar bool; compare, or reduce: any(), all()", while_([&] { return i > 3; }, [] {}));
  MISTAKE("kernel with more than 100000 ops: a loop over C++ integers is unrolled while recording; use `for (Int i : range(...))` to record its body once", for (int k = 0; k < 200000; ++k) n = n + n);
}

TEST(DslMistakes, AThrowInsideALoopStaysItself) {
  Kernel thrower = KERNEL(for (Int k : range(n)) throw std::string("mine"));
  EXPECT_THROW(record(thrower, NoSpec{}, {view(f32, 1), view(f32, 2), view(i32, 1), view(bf16, 2), view(u8, 1), view(e4m3, 1), scalar(i32), scalar(i64), scalar(f32), pointer(i32)}), std::string);
  // and leaves nothing behind
  MISTAKE("program_id(3): a grid has axes 0, 1 and 2", program_id(3));
}

TEST(DslMistakes, Contract) {
  MISTAKE("a second grid(): the kernel's grid is set at " + std::string(__FILE__) + ":" + std::to_string(__LINE__) + "; call grid() once", grid(2));
  MISTAKE("expect() with 1 sizes: the view of f32 with rank 2; give 2 sizes, one per dimension", y.expect({n}));
  MISTAKE("expect() on a sub-view: the host checks the kernel's own arguments only; call it on the parameter", y.rows_before(n).expect({n, n}));
  MISTAKE("expect(): size 0: the host cannot evaluate a loaded value; use sizes of the kernel's views, scalar arguments and constants only", x.expect({load(ix(0))}));
  MISTAKE("expect(): size 0: the host cannot evaluate program_id; use sizes of the kernel's views, scalar arguments and constants only", x.expect({program_id(0) + 1}));
  MISTAKE("expect(): size 0: the host cannot evaluate an expression this large; use sizes of the kernel's views, scalar arguments and constants only", for (int k = 0; k < 40; ++k) n = n + n; x.expect({n}));
  MISTAKE("expect() inside a loop or branch: the host checks it before the launch; call it at the top of the kernel", for (Int k : range(n)) x.expect({n}));
  MISTAKE("expect: scalar f32 as an index; indices are i32 or i64: cast(index, i32)", x.expect({s}));
  MISTAKE("arg_names() with 2 names: the kernel has 10 arguments; name each, in order", arg_names({"x", "y"}));
}

void no_grid(const NoSpec &, View x) { store(x(0), 1); }
void loaded_grid(const NoSpec &, View x) { grid(load(x(0))); }
void looped_grid(const NoSpec &, View) {
  for (Int i : range(3)) grid(i);
}

TEST(DslMistakes, Grid) {
  auto message = [](void (*k)(const NoSpec &, View)) -> std::string {
    try {
      record(k, NoSpec{}, {view(i32, 1)}, "mine");
    } catch (const KernelError &e) {
      return e.what();
    }
    return "no error";
  };
  EXPECT_THAT(message(no_grid), HasSubstr("kernel mine: it has no grid; call grid(...) at its top"));
  EXPECT_THAT(message(loaded_grid), HasSubstr("grid(): extent 0: the host cannot evaluate a loaded value; use sizes of"));
  EXPECT_THAT(message(looped_grid), HasSubstr("grid() inside a loop or branch: the host evaluates it before the launch; call it at the top of the kernel"));
}

TEST(DslMistakes, ArgumentsThatDoNotFit) {
  auto message = [](std::vector<ArgFacts> facts) -> std::string {
    try {
      record(no_grid, NoSpec{}, std::move(facts), "mine");
    } catch (const UserError &e) {
      return e.what();
    }
    return "no error";
  };
  const std::string remedy = "; give what the parameter stands for: a tensor for View and Pointer, a number for the others";
  EXPECT_EQ(message({}), "recording of kernel mine: it takes 1 arguments after its spec, 0 are given; give one for each parameter");
  EXPECT_EQ(message({scalar(i32)}), "recording of kernel mine: argument 0 is a scalar i32, the kernel's parameter is a View" + remedy);
  EXPECT_EQ(message({pointer(f32)}), "recording of kernel mine: argument 0 is a pointer to f32, the kernel's parameter is a View" + remedy);
}

} // namespace
