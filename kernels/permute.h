// What permute and the backward of unpermute share. Internal to kernels/.
#pragma once

#include "kernels/registry.h"
#include "kernels/routing_map.h"
#include "kernels/rows.h"

namespace moec {

/// A map's list of each token's rows, as rows_of_token reads it: token_rows, or the row_id_map if there is none.
struct TokenLists {
  bool compact = false; ///< it is a row_id_map
  Tensor map, counts;   ///< counts: empty if compact
  int64_t tokens = 0, experts = 0;
};
/// Throws UserError, naming `what`, for a map that has neither.
TokenLists token_lists(const Stream &stream, const std::string &what, const RoutingMap &routing);

/// Besides plain copies; undefined tensors: not asked for.
struct Spread {
  Tensor weights = {};  ///< [T, E]: rows are multiplied by it
  bool zero = false;    ///< the map may have rows of zeros; not with weights
  Tensor other = {};    ///< [rows, D], with products
  Tensor products = {}; ///< [T, E], result: sum over columns of x[t] * other[row], 0 where not routed
};
/// Throws UserError unless tokens [T, D], routing_map [T, E] and probs [T, E], if there are some, fit together.
void check_permute(const std::string &what, const Tensor &tokens, const Tensor &routing_map, const Tensor &probs);
/// out[row, :] = x[t, :] for each pair of the map, read from its row_id_map if it has no token_rows; rows that no pair
/// has are zero. [rows, D], dtype of x. `what`: the
/// op's name for errors.
Tensor spread_rows(const Stream &stream, const std::string &what, const Tensor &x, const RoutingMap &map, int64_t rows,
                   const Spread &spread = {});
/// Whether products of rows and weights are rounded to the promoted dtype of both, as the unfused source does; its
/// fused form, whose maps have a row_id_map, keeps them in f32. False where there is nothing to round.
bool rounds_products(const RoutingMap &routing, const Tensor &rows, const Tensor &weights);
/// out[t, :] = sum over rows of the token, experts ascending, of x[row, :] (* weights[t, e], by rounds_products). The
/// map is read from its row_id_map if it has no token_rows.
Tensor sum_token_rows(const Stream &stream, const std::string &what, const Tensor &x, const RoutingMap &map,
                      const Tensor &weights = {});

/// Outputs and inputs that the permute ops have in common. `cut`: rows past the last expert's are left out.
void put_permuted(OpCall &call, const Permuted &permuted, bool cut = false);
/// Gives the op its gradients.
void put_permute_grads(OpCall &call, const Permuted &permuted);
std::vector<OpTensor> permute_tensors(std::initializer_list<OpTensor> more);

} // namespace moec
