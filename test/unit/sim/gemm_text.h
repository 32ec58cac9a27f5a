// A bf16 GEMM kernel in LLVM+NVVM dialect text: cp.async into two stages of padded shared memory, ldmatrix, mma.sync.
// C[M, N] f32 = A[M, K] * B[N, K]^T, 2 x 2 warps, M, N, K multiples of the tile.
#pragma once

#include <string>
#include <vector>

namespace moec::simtest {

struct GemmShape {
  int m_tiles = 2, n_tiles = 4; ///< 16 x 8 tiles per warp
  int k = 64;
  bool wait = true;                                 ///< planted bug: no wait for the copies
  bool first_barrier = true, second_barrier = true; ///< planted bugs: no barrier after the wait, none before reuse

  static constexpr int kDepth = 32, kRowBytes = 80; ///< k per stage; bytes per row, padded
  int block_m() const { return 2 * m_tiles * 16; }
  int block_n() const { return 2 * n_tiles * 8; }
  int stage_bytes() const { return (block_m() + block_n()) * kRowBytes; }
  int shared_bytes() const { return 2 * stage_bytes(); }
};

class GemmText {
public:
  explicit GemmText(GemmShape shape) : s(shape) {}

  std::string text() {
    line("llvm.mlir.global external @moec_smem() {addr_space = 3 : i32, alignment = 16 : i64} : !llvm.array<0 x i8>");
    line("llvm.func @gemm(%a: !llvm.ptr<1>, %b: !llvm.ptr<1>, %c: !llvm.ptr<1>, %n: i32) attributes {nvvm.kernel, "
         "nvvm.reqntid = array<i32: 128>} {");
    prologue();
    loop();
    epilogue();
    line("llvm.return");
    line("}");
    return out;
  }

private:
  using V = std::string;
  void line(const std::string &text) { out += text + "\n"; }
  V def(const std::string &op) {
    V name = "%v" + std::to_string(next++);
    line("  " + name + " = " + op);
    return name;
  }
  V c(int value) { return def("llvm.mlir.constant(" + std::to_string(value) + " : i32) : i32"); }
  V bin(const char *op, V x, V y) { return def("llvm." + std::string(op) + " " + x + ", " + y + " : i32"); }
  V add(V x, V y) { return bin("add", x, y); }
  V mul(V x, int y) { return bin("mul", x, c(y)); }
  V div(V x, int y) { return bin("udiv", x, c(y)); }
  V rem(V x, int y) { return bin("urem", x, c(y)); }
  V at(V base, V offset, const char *space) {
    return def("llvm.getelementptr " + base + "[" + offset + "] : (!llvm.ptr<" + space + ">, i32) -> !llvm.ptr<" +
               space + ">, i8");
  }

  /// Copies of one stage: 16 bytes per thread at a time. `k` is the first column, `stage` its byte offset in shared
  /// memory.
  void issue(V k, V stage) {
    auto rows = [&](V base, V first_row, int count, int offset) {
      for (int i = 0; i < count * 4 / 128; ++i) {
        V chunk = add(tid, c(i * 128));
        V row = div(chunk, 4), column = rem(chunk, 4);
        V element = add(add(mul(add(first_row, row), s.k), k), mul(column, 8));
        V from = at(base, mul(element, 2), "1");
        V to = at(smem, add(stage, add(mul(row, GemmShape::kRowBytes), add(mul(column, 16), c(offset)))), "3");
        line("  nvvm.cp.async.shared.global " + to + ", " + from +
             ", 16, cache = cg : !llvm.ptr<3>, !llvm.ptr<1> // copy");
      }
    };
    rows("%a", row0, s.block_m(), 0);
    rows("%b", col0, s.block_n(), s.block_m() * GemmShape::kRowBytes);
  }

  void prologue() {
    tid = def("nvvm.read.ptx.sreg.tid.x : i32");
    smem = def("llvm.mlir.addressof @moec_smem : !llvm.ptr<3>");
    row0 = mul(def("nvvm.read.ptx.sreg.ctaid.y : i32"), s.block_m());
    col0 = mul(def("nvvm.read.ptx.sreg.ctaid.x : i32"), s.block_n());
    lane = rem(tid, 32);
    V warp = div(tid, 32);
    warp_row = mul(div(warp, 2), s.m_tiles * 16);
    warp_col = mul(rem(warp, 2), s.n_tiles * 8);
    V zero = c(0);
    issue(zero, zero);
    line("  nvvm.cp.async.commit.group");
    V f = def("llvm.mlir.constant(0.0 : f32) : f32");
    std::string types;
    for (int i = 0; i < 4 * s.m_tiles * s.n_tiles; ++i) {
      acc.push_back("%acc" + std::to_string(i));
      types += ", " + acc.back() + ": f32";
    }
    branch("llvm.br", "loop", zero, std::vector<V>(acc.size(), f));
    line("^loop(%k: i32" + types + "):");
  }

  void branch(const std::string &op, const std::string &target, const V &k, const std::vector<V> &values) {
    std::string names = k, types = "i32";
    for (const V &value : values) {
      names += ", " + value;
      types += ", f32";
    }
    line("  " + op + " ^" + target + "(" + names + " : " + types + ")");
  }

  void loop() {
    V stage = mul(rem(div("%k", GemmShape::kDepth), 2), s.stage_bytes());
    V next_k = add("%k", c(GemmShape::kDepth));
    V other = mul(rem(div(next_k, GemmShape::kDepth), 2), s.stage_bytes());
    V more = def("llvm.icmp \"slt\" " + next_k + ", " + c(s.k) + " : i32");
    line("  llvm.cond_br " + more + ", ^issue, ^wait");
    line("^issue:");
    issue(next_k, other);
    line("  llvm.br ^wait");
    line("^wait:");
    line("  nvvm.cp.async.commit.group");
    if (s.wait) line("  nvvm.cp.async.wait.group 1");
    if (s.first_barrier) line("  nvvm.barrier0");
    compute(stage);
    if (s.second_barrier) line("  nvvm.barrier0");
    std::string names = next_k, types = "i32";
    for (const V &value : acc) {
      names += ", " + value;
      types += ", f32";
    }
    // Block arguments of ^done have their own names.
    std::string done;
    for (size_t i = 0; i < acc.size(); ++i) done += (i ? ", %d" : "%d") + std::to_string(i) + ": f32";
    std::string values, value_types;
    for (size_t i = 0; i < acc.size(); ++i) {
      values += (i ? ", " : "") + acc[i];
      value_types += i ? ", f32" : "f32";
    }
    line("  llvm.cond_br " + more + ", ^loop(" + names + " : " + types + "), ^done(" + values + " : " + value_types +
         ")");
    line("^done(" + done + "):");
  }

  void compute(V stage) {
    V matrix = div(lane, 8), row = rem(lane, 8);
    V a_row = add(mul(rem(matrix, 2), 8), row), a_k = mul(div(matrix, 2), 8);
    V b_row = add(mul(div(matrix, 2), 8), row), b_k = mul(rem(matrix, 2), 8);
    for (int k16 = 0; k16 < GemmShape::kDepth; k16 += 16) {
      std::vector<std::vector<V>> a, b;
      auto load = [&](V first_row, V r, V k, int tile_row, int offset) {
        V place = add(stage, add(mul(add(add(first_row, r), c(tile_row)), GemmShape::kRowBytes),
                                 add(mul(add(k, c(k16)), 2), c(offset))));
        V all = def("nvvm.ldmatrix " + at(smem, place, "3") +
                    " {num = 4 : i32, layout = #nvvm.mma_layout<row>, shape = #nvvm.ld_st_matrix_shape<m = 8, n = 8>, "
                    "eltType = "
                    "#nvvm.ld_st_matrix_elt_type<b16>} : (!llvm.ptr<3>) -> !llvm.struct<(i32, i32, i32, i32)> // load");
        std::vector<V> parts;
        for (int i = 0; i < 4; ++i)
          parts.push_back(
              def("llvm.extractvalue " + all + "[" + std::to_string(i) + "] : !llvm.struct<(i32, i32, i32, i32)>"));
        return parts;
      };
      for (int m = 0; m < s.m_tiles; ++m) a.push_back(load(warp_row, a_row, a_k, m * 16, 0));
      for (int n = 0; n < s.n_tiles; n += 2)
        b.push_back(load(warp_col, b_row, b_k, n * 8, s.block_m() * GemmShape::kRowBytes));
      for (int m = 0; m < s.m_tiles; ++m)
        for (int n = 0; n < s.n_tiles; ++n) mma(m, n, a[m], b[n / 2][n % 2 * 2], b[n / 2][n % 2 * 2 + 1]);
    }
  }

  void mma(int m, int n, const std::vector<V> &a, V b0, V b1) {
    V *d = &acc[4 * (m * s.n_tiles + n)];
    const std::string type = "!llvm.struct<(f32, f32, f32, f32)>";
    V result = def("nvvm.mma.sync A[" + a[0] + ", " + a[1] + ", " + a[2] + ", " + a[3] + "] B[" + b0 + ", " + b1 +
                   "] C[" + d[0] + ", " + d[1] + ", " + d[2] + ", " + d[3] +
                   "] {layoutA = #nvvm.mma_layout<row>, layoutB = #nvvm.mma_layout<col>, multiplicandAPtxType = "
                   "#nvvm.mma_type<bf16>, "
                   "multiplicandBPtxType = #nvvm.mma_type<bf16>, shape = #nvvm.shape<m = 16, n = 8, k = 16>} : (i32, "
                   "i32, f32) -> " +
                   type);
    for (int i = 0; i < 4; ++i) d[i] = def("llvm.extractvalue " + result + "[" + std::to_string(i) + "] : " + type);
  }

  void epilogue() {
    V group = div(lane, 4), pair = mul(rem(lane, 4), 2);
    for (int m = 0; m < s.m_tiles; ++m)
      for (int n = 0; n < s.n_tiles; ++n)
        for (int half = 0; half < 2; ++half) {
          V row = add(add(add(row0, warp_row), group), c(m * 16 + half * 8));
          V column = add(add(add(col0, warp_col), pair), c(n * 8));
          V to = at("%c", mul(add(bin("mul", row, "%n"), column), 4), "1");
          for (int i = 0; i < 2; ++i) {
            V place = i ? at(to, c(4), "1") : to;
            line("  llvm.store %d" + std::to_string(4 * (m * s.n_tiles + n) + 2 * half + i) + ", " + place +
                 " : f32, !llvm.ptr<1>");
          }
        }
  }

  GemmShape s;
  std::string out;
  int next = 0;
  V tid, smem, row0, col0, lane, warp_row, warp_col;
  std::vector<V> acc;
};

} // namespace moec::simtest
