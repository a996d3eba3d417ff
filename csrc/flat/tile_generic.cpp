#include "flat/tile.h"

namespace cbir::flat {

void tile_generic(const float* x, int64_t d, const float* offset, const float* scale, const float* panel,
                  const float* limit, uint32_t* mask) {
  for (int r = 0; r < kTileRows; ++r) {
    float sum[kTileQueries] = {};
    for (int64_t t = 0; t < d; ++t) {
      const float value = x[r * d + t];
      for (int j = 0; j < kTileQueries; ++j) sum[j] += value * panel[t * kTileQueries + j];
    }
    mask[r] = 0;
    for (int j = 0; j < kTileQueries; ++j) {
      if (offset[r] + scale[r] * sum[j] <= limit[j]) mask[r] |= uint32_t{1} << j;
    }
  }
}

}  // namespace cbir::flat
