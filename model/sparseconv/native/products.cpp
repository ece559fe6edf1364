// The products of a sparse convolution, fused per tile of outputs: rows are read where they lie, and a tile's sums stay
// in the cache until they are complete. Each output sums its pairs in the order of the map, in one chain for each
// channel: the bits depend neither on the number of threads nor on which rows are multiplied together.
#include <algorithm>
#include <cstdint>
#include <cstring>
#include <memory>
#include <type_traits>
#include <vector>

#if defined(__F16C__) || defined(__AVX512VNNI__)
#include <immintrin.h>
#endif

namespace {

enum Kind : int { kFloat32 = 0, kFloat16 = 1, kBfloat16 = 2, kInt8 = 3, kFloat64 = 4 };

#if defined(__AVX512F__)
constexpr int kVectorBytes = 64, kRows = 6, kVectors = 4;
#elif defined(__AVX2__)
constexpr int kVectorBytes = 32, kRows = 6, kVectors = 2;
#elif defined(__aarch64__)
constexpr int kVectorBytes = 16, kRows = 6, kVectors = 4;
#else
constexpr int kVectorBytes = 16, kRows = 3, kVectors = 2;
#endif

template <class S>
using Vector __attribute__((vector_size(kVectorBytes), aligned(sizeof(S)), may_alias)) = S;

template <class S>
constexpr int kLanes = kVectorBytes / sizeof(S);

// Columns are handled in blocks of kVectors vectors; the last block is as narrow as it can be.
template <class S>
constexpr int kBlock = kVectors * kLanes<S>;

template <class S>
int64_t padded(int64_t columns) {
  return (columns + kLanes<S> - 1) / kLanes<S> * kLanes<S>;
}

float widen(float value) { return value; }
double widen(double value) { return value; }
float widen(int8_t value) { return value; }

struct Half {
  uint16_t bits;
};
struct Brain {
  uint16_t bits;
};

float widen(Half value) {
  uint32_t sign = uint32_t(value.bits & 0x8000u) << 16, rest = value.bits & 0x7fffu, bits;
  float result;
  if (rest >= 0x7c00u) {
    bits = sign | 0x7f800000u | (rest & 0x3ffu) << 13;
  } else if (rest >= 0x400u) {
    bits = sign | ((rest << 13) + (112u << 23));
  } else {
    result = float(rest) * 0x1p-24f;
    std::memcpy(&bits, &result, 4);
    bits |= sign;
  }
  std::memcpy(&result, &bits, 4);
  return result;
}

float widen(Brain value) {
  uint32_t bits = uint32_t(value.bits) << 16;
  float result;
  std::memcpy(&result, &bits, 4);
  return result;
}

template <class X, class S>
void widen_row(const X* from, S* to, int64_t count) {
  for (int64_t entry = 0; entry < count; ++entry) to[entry] = widen(from[entry]);
}

#if defined(__F16C__)
template <>
void widen_row<Half, float>(const Half* from, float* to, int64_t count) {
  int64_t entry = 0;
  for (; entry + 8 <= count; entry += 8)
    _mm256_storeu_ps(to + entry, _mm256_cvtph_ps(_mm_loadu_si128((const __m128i*)(from + entry))));
  for (; entry < count; ++entry) to[entry] = widen(from[entry]);
}
#endif

// `rows` rows of sums += rows of x times w, over `depth` channels. w holds one block: depth x (vectors * lanes).
template <class S, int rows, int vectors>
void multiply(const S* const* x, const S* w, int64_t depth, S* const* sums) {
  using V = Vector<S>;
  V total[rows][vectors];
#pragma GCC unroll 8
  for (int row = 0; row < rows; ++row)
#pragma GCC unroll 8
    for (int v = 0; v < vectors; ++v) total[row][v] = *(const V*)(sums[row] + v * kLanes<S>);
  for (int64_t channel = 0; channel < depth; ++channel) {
    V right[vectors];
#pragma GCC unroll 8
    for (int v = 0; v < vectors; ++v) right[v] = *(const V*)(w + v * kLanes<S>);
    w += vectors * kLanes<S>;
#pragma GCC unroll 8
    for (int row = 0; row < rows; ++row) {
      const S left = x[row][channel];
#pragma GCC unroll 8
      for (int v = 0; v < vectors; ++v) total[row][v] += left * right[v];
    }
  }
#pragma GCC unroll 8
  for (int row = 0; row < rows; ++row)
#pragma GCC unroll 8
    for (int v = 0; v < vectors; ++v) *(V*)(sums[row] + v * kLanes<S>) = total[row][v];
}

template <class S, int vectors>
void multiply_rows(int rows, const S* const* x, const S* w, int64_t depth, S* const* sums) {
  switch (rows) {
    case 1: return multiply<S, 1, vectors>(x, w, depth, sums);
    case 2: return multiply<S, 2, vectors>(x, w, depth, sums);
    case 3: return multiply<S, 3, vectors>(x, w, depth, sums);
#if !defined(__x86_64__) || defined(__AVX2__)
    case 4: return multiply<S, 4, vectors>(x, w, depth, sums);
    case 5: return multiply<S, 5, vectors>(x, w, depth, sums);
    case 6: return multiply<S, 6, vectors>(x, w, depth, sums);
#endif
  }
}

template <class S>
void multiply_block(int vectors, int rows, const S* const* x, const S* w, int64_t depth, S* const* sums) {
  switch (vectors) {
    case 1: return multiply_rows<S, 1>(rows, x, w, depth, sums);
    case 2: return multiply_rows<S, 2>(rows, x, w, depth, sums);
#if defined(__AVX512F__) || defined(__aarch64__)
    case 3: return multiply_rows<S, 3>(rows, x, w, depth, sums);
    case 4: return multiply_rows<S, 4>(rows, x, w, depth, sums);
#endif
  }
}

// Weights (volume, depth, columns) block by block: (volume, blocks, depth, block width), zeros beyond the last column.
template <class S>
std::unique_ptr<S[]> packed_weights(const S* weight, int64_t volume, int64_t depth, int64_t columns, int threads) {
  const int64_t width = padded<S>(columns);
  std::unique_ptr<S[]> packed(new S[volume * depth * width]);
#pragma omp parallel for num_threads(threads)
  for (int64_t element = 0; element < volume; ++element) {
    S* target = packed.get() + element * depth * width;
    const S* source = weight + element * depth * columns;
    for (int64_t start = 0; start < width; start += kBlock<S>) {
      const int64_t block = std::min<int64_t>(kBlock<S>, width - start);
      const int64_t filled = std::min<int64_t>(block, columns - start);
      for (int64_t channel = 0; channel < depth; ++channel, target += block) {
        std::copy_n(source + channel * columns + start, filled, target);
        std::fill(target + filled, target + block, S(0));
      }
    }
  }
  return packed;
}

struct Map {
  const int32_t* inputs;
  const int32_t* outputs;
  const int64_t* starts;
  int64_t volume;
};

// Channels that are multiplied before the next rows: their block of weights stays in the first cache. int8 is
// multiplied as float, exactly: a sum of so few products is below 2^24. Its sums are added up in int32.
constexpr int64_t kDepth = 128;

template <class S, class X, class Y>
void convolve(const X* x, const S* weight, Y* y, const Map& map, int64_t count, int64_t depth, int64_t columns,
              int64_t tile, int threads) {
  constexpr bool direct = std::is_same<X, S>::value;
  using Sum = typename std::conditional<std::is_same<Y, int32_t>::value, int32_t, S>::type;
  constexpr bool whole = !std::is_same<Sum, S>::value;
  const int64_t width = padded<S>(columns), tiles = (count + tile - 1) / tile;
  const std::unique_ptr<S[]> packed = packed_weights(weight, map.volume, depth, columns, threads);
#pragma omp parallel num_threads(threads)
  {
    std::vector<Sum> sums(tile * width);
    std::vector<S> wide(direct ? 0 : tile * depth);
    std::vector<const S*> from(tile);
    std::vector<Sum*> to(tile);
#pragma omp for schedule(dynamic)
    for (int64_t number = 0; number < tiles; ++number) {
      const int64_t first = number * tile, last = std::min(count, first + tile);
      std::fill(sums.begin(), sums.end(), Sum(0));
      for (int64_t element = 0; element < map.volume; ++element) {
        const int32_t* begin = map.outputs + map.starts[element];
        const int32_t* end = map.outputs + map.starts[element + 1];
        const int64_t start = std::lower_bound(begin, end, first) - map.outputs;
        const int64_t pairs = std::lower_bound(begin, end, last) - map.outputs - start;
        for (int64_t pair = 0; pair < pairs; ++pair) {
          const X* row = x + int64_t(map.inputs[start + pair]) * depth;
          if constexpr (direct) {
            from[pair] = row;
          } else {
            S* copy = wide.data() + pair * depth;
            widen_row(row, copy, depth);
            from[pair] = copy;
          }
          to[pair] = sums.data() + (map.outputs[start + pair] - first) * width;
        }
        for (int64_t column = 0; column < width; column += kBlock<S>) {
          const int64_t block = std::min<int64_t>(kBlock<S>, width - column);
          for (int64_t channel = 0; channel < depth; channel += kDepth) {
            const S* w = packed.get() + (element * width + column) * depth + channel * block;
            const int64_t part = std::min(kDepth, depth - channel);
            for (int64_t pair = 0; pair < pairs; pair += kRows) {
              const int rows = int(std::min<int64_t>(kRows, pairs - pair));
              S parts[whole ? kRows * kBlock<S> : 1] = {};
              const S* left[kRows];
              S* target[kRows];
              for (int row = 0; row < rows; ++row) {
                left[row] = from[pair + row] + channel;
                if constexpr (whole)
                  target[row] = parts + row * block;
                else
                  target[row] = to[pair + row] + column;
              }
              multiply_block<S>(int(block / kLanes<S>), rows, left, w, part, target);
              // Unsigned, so that sums beyond 32 bits wrap as torch's do.
              if constexpr (whole)
                for (int row = 0; row < rows; ++row)
                  for (int64_t entry = 0; entry < block; ++entry) {
                    int32_t& total = to[pair + row][column + entry];
                    total = int32_t(uint32_t(total) + uint32_t(int32_t(target[row][entry])));
                  }
            }
          }
        }
      }
      for (int64_t row = first; row < last; ++row)
        std::copy_n(sums.data() + (row - first) * width, columns, y + row * columns);
    }
  }
}

#if defined(__AVX512F__) && defined(__AVX512VNNI__)
// int8 by the processor's own instruction, which sums four products of an unsigned and a signed byte in 32 bits. So
// 128 is added to the inputs, by a flip of their highest bits, and 128 times the sum of the weights is taken off again.
// Everything wraps as 32-bit sums do, and is exact otherwise.
constexpr int kFour = 4;

template <int rows, int vectors>
void multiply_bytes(const int8_t* const* x, const int8_t* w, const int32_t* excess, int64_t fours, int32_t* const* sums) {
  __m512i total[rows][vectors];
#pragma GCC unroll 8
  for (int row = 0; row < rows; ++row)
#pragma GCC unroll 8
    for (int v = 0; v < vectors; ++v)
      total[row][v] = _mm512_sub_epi32(_mm512_loadu_si512(sums[row] + v * 16), _mm512_loadu_si512(excess + v * 16));
  const __m512i flip = _mm512_set1_epi32(int32_t(0x80808080u));
  for (int64_t four = 0; four < fours; ++four) {
    __m512i right[vectors];
#pragma GCC unroll 8
    for (int v = 0; v < vectors; ++v) right[v] = _mm512_loadu_si512(w + v * 64);
    w += vectors * 64;
#pragma GCC unroll 8
    for (int row = 0; row < rows; ++row) {
      int32_t bytes;
      std::memcpy(&bytes, x[row] + four * kFour, kFour);
      const __m512i left = _mm512_xor_si512(_mm512_set1_epi32(bytes), flip);
#pragma GCC unroll 8
      for (int v = 0; v < vectors; ++v) total[row][v] = _mm512_dpbusd_epi32(total[row][v], left, right[v]);
    }
  }
#pragma GCC unroll 8
  for (int row = 0; row < rows; ++row)
#pragma GCC unroll 8
    for (int v = 0; v < vectors; ++v) _mm512_storeu_si512(sums[row] + v * 16, total[row][v]);
}

template <int vectors>
void multiply_byte_rows(int rows, const int8_t* const* x, const int8_t* w, const int32_t* excess, int64_t fours,
                        int32_t* const* sums) {
  switch (rows) {
    case 1: return multiply_bytes<1, vectors>(x, w, excess, fours, sums);
    case 2: return multiply_bytes<2, vectors>(x, w, excess, fours, sums);
    case 3: return multiply_bytes<3, vectors>(x, w, excess, fours, sums);
    case 4: return multiply_bytes<4, vectors>(x, w, excess, fours, sums);
    case 5: return multiply_bytes<5, vectors>(x, w, excess, fours, sums);
    case 6: return multiply_bytes<6, vectors>(x, w, excess, fours, sums);
  }
}

void convolve_bytes(const int8_t* x, const float* weight, int32_t* y, const Map& map, int64_t count, int64_t depth,
                    int64_t columns, int64_t tile, int threads) {
  const int64_t width = padded<int32_t>(columns), tiles = (count + tile - 1) / tile;
  const int64_t fours = (depth + kFour - 1) / kFour, bytes = fours * kFour;
  // Weights (volume, blocks, fours, block width, four), zeros beyond the last channel and column.
  std::vector<int8_t> packed(map.volume * bytes * width);
  std::vector<int32_t> excess(map.volume * width);
#pragma omp parallel for num_threads(threads)
  for (int64_t element = 0; element < map.volume; ++element)
    for (int64_t channel = 0; channel < depth; ++channel)
      for (int64_t column = 0; column < columns; ++column) {
        const int64_t start = column / kBlock<int32_t> * kBlock<int32_t>;
        const int64_t block = std::min<int64_t>(kBlock<int32_t>, width - start);
        const int8_t value = int8_t(weight[(element * depth + channel) * columns + column]);
        packed[(element * width + start) * bytes +
               (channel / kFour * block + column - start) * kFour + channel % kFour] = value;
        excess[element * width + column] += 128 * value;
      }
#pragma omp parallel num_threads(threads)
  {
    std::vector<int32_t> sums(tile * width);
    std::vector<int8_t> copies(bytes == depth ? 0 : tile * bytes);
    std::vector<const int8_t*> from(tile);
    std::vector<int32_t*> to(tile);
#pragma omp for schedule(dynamic)
    for (int64_t number = 0; number < tiles; ++number) {
      const int64_t first = number * tile, last = std::min(count, first + tile);
      std::fill(sums.begin(), sums.end(), 0);
      for (int64_t element = 0; element < map.volume; ++element) {
        const int32_t* begin = map.outputs + map.starts[element];
        const int32_t* end = map.outputs + map.starts[element + 1];
        const int64_t start = std::lower_bound(begin, end, first) - map.outputs;
        const int64_t pairs = std::lower_bound(begin, end, last) - map.outputs - start;
        for (int64_t pair = 0; pair < pairs; ++pair) {
          from[pair] = x + int64_t(map.inputs[start + pair]) * depth;
          if (bytes != depth) from[pair] = std::copy_n(from[pair], depth, copies.data() + pair * bytes) - depth;
          to[pair] = sums.data() + (map.outputs[start + pair] - first) * width;
        }
        for (int64_t column = 0; column < width; column += kBlock<int32_t>) {
          const int64_t block = std::min<int64_t>(kBlock<int32_t>, width - column);
          const int8_t* w = packed.data() + (element * width + column) * bytes;
          const int32_t* more = excess.data() + element * width + column;
          for (int64_t pair = 0; pair < pairs; pair += kRows) {
            const int rows = int(std::min<int64_t>(kRows, pairs - pair));
            int32_t* target[kRows];
            for (int row = 0; row < rows; ++row) target[row] = to[pair + row] + column;
            switch (block / 16) {
              case 1: multiply_byte_rows<1>(rows, &from[pair], w, more, fours, target); break;
              case 2: multiply_byte_rows<2>(rows, &from[pair], w, more, fours, target); break;
              case 3: multiply_byte_rows<3>(rows, &from[pair], w, more, fours, target); break;
              case 4: multiply_byte_rows<4>(rows, &from[pair], w, more, fours, target); break;
            }
          }
        }
      }
      for (int64_t row = first; row < last; ++row)
        std::copy_n(sums.data() + (row - first) * width, columns, y + row * columns);
    }
  }
}
#endif

// Pairs are summed in segments of at least this many, at most kSegments an element; then the segments in order.
constexpr int64_t kSegmentPairs = 8192, kSegments = 8, kChunk = 128;

template <class S, int rows, int vectors>
void outer(const S* x, int64_t depth, const S* gradient, int64_t width, int64_t pairs, S* sums, int64_t columns) {
  using V = Vector<S>;
  V total[rows][vectors];
#pragma GCC unroll 8
  for (int row = 0; row < rows; ++row)
#pragma GCC unroll 8
    for (int v = 0; v < vectors; ++v) total[row][v] = *(const V*)(sums + row * columns + v * kLanes<S>);
  for (int64_t pair = 0; pair < pairs; ++pair) {
    V right[vectors];
#pragma GCC unroll 8
    for (int v = 0; v < vectors; ++v) right[v] = *(const V*)(gradient + v * kLanes<S>);
#pragma GCC unroll 8
    for (int row = 0; row < rows; ++row) {
      const S left = x[row];
#pragma GCC unroll 8
      for (int v = 0; v < vectors; ++v) total[row][v] += left * right[v];
    }
    x += depth;
    gradient += width;
  }
#pragma GCC unroll 8
  for (int row = 0; row < rows; ++row)
#pragma GCC unroll 8
    for (int v = 0; v < vectors; ++v) *(V*)(sums + row * columns + v * kLanes<S>) = total[row][v];
}

template <class S, int vectors>
void outer_rows(int rows, const S* x, int64_t depth, const S* gradient, int64_t width, int64_t pairs, S* sums) {
  switch (rows) {
    case 1: return outer<S, 1, vectors>(x, depth, gradient, width, pairs, sums, width);
    case 2: return outer<S, 2, vectors>(x, depth, gradient, width, pairs, sums, width);
    case 3: return outer<S, 3, vectors>(x, depth, gradient, width, pairs, sums, width);
#if !defined(__x86_64__) || defined(__AVX2__)
    case 4: return outer<S, 4, vectors>(x, depth, gradient, width, pairs, sums, width);
    case 5: return outer<S, 5, vectors>(x, depth, gradient, width, pairs, sums, width);
    case 6: return outer<S, 6, vectors>(x, depth, gradient, width, pairs, sums, width);
#endif
  }
}

template <class S, class X>
void weight_gradient(const X* x, const X* gradient, S* result, const Map& map, int64_t depth, int64_t columns,
                     int threads) {
  const int64_t width = padded<S>(columns), area = depth * width;
  struct Segment {
    int64_t element, begin, end;
  };
  std::vector<Segment> segments;
  for (int64_t element = 0; element < map.volume; ++element) {
    const int64_t begin = map.starts[element], pairs = map.starts[element + 1] - begin;
    const int64_t parts = std::min(kSegments, std::max<int64_t>(1, pairs / kSegmentPairs));
    for (int64_t part = 0; part < parts; ++part)
      segments.push_back({element, begin + pairs * part / parts, begin + pairs * (part + 1) / parts});
  }
  std::vector<S> sums(segments.size() * area);
#pragma omp parallel num_threads(threads)
  {
    std::vector<S> left(kChunk * depth), right(kChunk * width);
#pragma omp for schedule(dynamic)
    for (size_t number = 0; number < segments.size(); ++number) {
      const Segment& segment = segments[number];
      S* target = sums.data() + number * area;
      for (int64_t begin = segment.begin; begin < segment.end; begin += kChunk) {
        const int64_t pairs = std::min(kChunk, segment.end - begin);
        for (int64_t pair = 0; pair < pairs; ++pair) {
          const X* from = x + int64_t(map.inputs[begin + pair]) * depth;
          const X* to = gradient + int64_t(map.outputs[begin + pair]) * columns;
          widen_row(from, left.data() + pair * depth, depth);
          widen_row(to, right.data() + pair * width, columns);
        }
        for (int64_t start = 0; start < width; start += kBlock<S>) {
          const int vectors = int(std::min<int64_t>(kBlock<S>, width - start) / kLanes<S>);
          for (int64_t channel = 0; channel < depth; channel += kRows) {
            const int rows = int(std::min<int64_t>(kRows, depth - channel));
            const S *a = left.data() + channel, *b = right.data() + start;
            S* out = target + channel * width + start;
            switch (vectors) {
              case 1: outer_rows<S, 1>(rows, a, depth, b, width, pairs, out); break;
              case 2: outer_rows<S, 2>(rows, a, depth, b, width, pairs, out); break;
#if defined(__AVX512F__) || defined(__aarch64__)
              case 3: outer_rows<S, 3>(rows, a, depth, b, width, pairs, out); break;
              case 4: outer_rows<S, 4>(rows, a, depth, b, width, pairs, out); break;
#endif
            }
          }
        }
      }
    }
  }
  std::fill_n(result, map.volume * depth * columns, S(0));
  for (size_t number = 0; number < segments.size(); ++number)
    for (int64_t channel = 0; channel < depth; ++channel)
      for (int64_t column = 0; column < columns; ++column)
        result[(segments[number].element * depth + channel) * columns + column] +=
            sums[number * area + channel * width + column];
}

}  // namespace

extern "C" {

// y (count, columns) of x by weight (volume, depth, columns), y and weight in the type that sums have. Returns 0, or 1
// for an unknown kind.
int zeroskip_convolve(int kind, const void* x, const void* weight, void* y, const int32_t* inputs,
                      const int32_t* outputs, const int64_t* starts, int64_t volume, int64_t count, int64_t depth,
                      int64_t columns, int64_t tile, int threads) {
  const Map map{inputs, outputs, starts, volume};
  const float* w = static_cast<const float*>(weight);
  float* sums = static_cast<float*>(y);
  switch (kind) {
    case kFloat32:
      convolve(static_cast<const float*>(x), w, sums, map, count, depth, columns, tile, threads);
      return 0;
    case kFloat16:
      convolve(static_cast<const Half*>(x), w, sums, map, count, depth, columns, tile, threads);
      return 0;
    case kBfloat16:
      convolve(static_cast<const Brain*>(x), w, sums, map, count, depth, columns, tile, threads);
      return 0;
    case kInt8:
#if defined(__AVX512F__) && defined(__AVX512VNNI__)
      convolve_bytes(static_cast<const int8_t*>(x), w, static_cast<int32_t*>(y), map, count, depth, columns, tile,
                     threads);
#else
      convolve(static_cast<const int8_t*>(x), w, static_cast<int32_t*>(y), map, count, depth, columns, tile, threads);
#endif
      return 0;
    case kFloat64:
      convolve(static_cast<const double*>(x), static_cast<const double*>(weight), static_cast<double*>(y), map, count,
               depth, columns, tile, threads);
      return 0;
  }
  return 1;
}

// result (volume, depth, columns) of x and gradient. Returns 0, or 1 for an unknown kind.
int zeroskip_weight_gradient(int kind, const void* x, const void* gradient, void* result, const int32_t* inputs,
                             const int32_t* outputs, const int64_t* starts, int64_t volume, int64_t depth,
                             int64_t columns, int threads) {
  const Map map{inputs, outputs, starts, volume};
  float* sums = static_cast<float*>(result);
  switch (kind) {
    case kFloat32:
      weight_gradient(static_cast<const float*>(x), static_cast<const float*>(gradient), sums, map, depth, columns,
                      threads);
      return 0;
    case kFloat16:
      weight_gradient(static_cast<const Half*>(x), static_cast<const Half*>(gradient), sums, map, depth, columns,
                      threads);
      return 0;
    case kBfloat16:
      weight_gradient(static_cast<const Brain*>(x), static_cast<const Brain*>(gradient), sums, map, depth, columns,
                      threads);
      return 0;
    case kFloat64:
      weight_gradient(static_cast<const double*>(x), static_cast<const double*>(gradient),
                      static_cast<double*>(result), map, depth, columns, threads);
      return 0;
  }
  return 1;
}
}
