// The kernel of exhaustive search: 12 rows against 32 queries, all sums in registers.
//
//   mask[r] bit j  =  offset[r] + scale[r] * sum_t x[r][t] * panel[t][j]  <=  limit[j]
//
// The panel holds 32 queries transposed, (d, 32), so that one load serves 12 rows and one broadcast serves 32 queries.
// Cost: 2 * 12 * 32 * d flop for 12 * d + 32 * d floats read.
#pragma once

#include <cstdint>

namespace cbir::flat {

inline constexpr int kTileRows = 12;
inline constexpr int kTileQueries = 32;

using TileFn = void (*)(const float* x, int64_t d, const float* offset, const float* scale, const float* panel,
                        const float* limit, uint32_t* mask);

void tile_generic(const float*, int64_t, const float*, const float*, const float*, const float*, uint32_t*);
void tile_avx2(const float*, int64_t, const float*, const float*, const float*, const float*, uint32_t*);
void tile_avx512(const float*, int64_t, const float*, const float*, const float*, const float*, uint32_t*);

}  // namespace cbir::flat
