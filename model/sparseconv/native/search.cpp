// Sorted keys of voxel coordinates, and the search of kernel maps in them: one merge of two sorted lists an element.
#include <algorithm>
#include <cstdint>
#include <vector>

namespace {

// Found pairs of each element that was looked up, in the order of the outputs' rows.
struct Found {
  std::vector<std::vector<int32_t>> inputs, outputs;
};

constexpr int kDigitBits = 11, kDigits = 1 << kDigitBits;

// One thread passes over so many rows sooner than another one wakes on a busy machine.
constexpr int64_t kFewRows = 200000;

// A stable sort, digit by digit; `order` is sorted alike. Each part of the keys is moved by one thread.
template <bool with_order>
void radix_sort(int64_t* keys, int64_t* order, int64_t count, int bits, int threads) {
  std::vector<int64_t> other_keys(count), other_order(with_order ? count : 0);
  const int parts = count > kFewRows ? std::max(threads, 1) : 1;
  std::vector<int64_t> places(int64_t(parts) * kDigits);
  int64_t *from = keys, *from_order = order, *to = other_keys.data(), *to_order = other_order.data();
  for (int shift = 0; shift < bits; shift += kDigitBits) {
    std::fill(places.begin(), places.end(), 0);
#pragma omp parallel for num_threads(parts)
    for (int part = 0; part < parts; ++part)
      for (int64_t row = count * part / parts; row < count * (part + 1) / parts; ++row)
        ++places[int64_t(part) * kDigits + (from[row] >> shift & (kDigits - 1))];
    int64_t place = 0;
    for (int digit = 0; digit < kDigits; ++digit)
      for (int part = 0; part < parts; ++part) {
        const int64_t size = places[int64_t(part) * kDigits + digit];
        places[int64_t(part) * kDigits + digit] = place;
        place += size;
      }
#pragma omp parallel for num_threads(parts)
    for (int part = 0; part < parts; ++part)
      for (int64_t row = count * part / parts; row < count * (part + 1) / parts; ++row) {
        const int64_t target = places[int64_t(part) * kDigits + (from[row] >> shift & (kDigits - 1))]++;
        to[target] = from[row];
        if (with_order) to_order[target] = from_order[row];
      }
    std::swap(from, to);
    std::swap(from_order, to_order);
  }
  if (from != keys) {
    std::copy_n(from, count, keys);
    if (with_order) std::copy_n(from_order, count, order);
  }
}

}  // namespace

extern "C" {

// Least and largest value of each column of coordinates (count, columns); zeros where there are no rows.
void zeroskip_bounds(const int32_t* coords, int64_t count, int64_t columns, int64_t* least, int64_t* largest,
                     int threads) {
  for (int64_t column = 0; column < columns; ++column) {
    int32_t low = count ? coords[column] : 0, high = low;
#pragma omp parallel for num_threads(threads) reduction(min : low) reduction(max : high) if (count > kFewRows)
    for (int64_t row = 0; row < count; ++row) {
      low = std::min(low, coords[row * columns + column]);
      high = std::max(high, coords[row * columns + column]);
    }
    least[column] = low;
    largest[column] = high;
  }
}

// keys[row] packs (coords[order[row]] * scale - least), column by column, at `shifts`. Without order, row by row.
// Returns 1 where the keys increase strictly.
int zeroskip_pack(const int32_t* coords, int64_t count, int64_t columns, const int64_t* order, const int64_t* scale,
                  const int64_t* least, const int64_t* shifts, int64_t* keys, int threads) {
#pragma omp parallel for num_threads(threads) if (count > kFewRows)
  for (int64_t row = 0; row < count; ++row) {
    const int32_t* values = coords + (order ? order[row] : row) * columns;
    uint64_t key = 0;
    for (int64_t column = 0; column < columns; ++column)
      key += uint64_t(values[column] * scale[column] - least[column]) << shifts[column];
    keys[row] = int64_t(key);
  }
  for (int64_t row = 1; row < count; ++row)
    if (keys[row - 1] >= keys[row]) return 0;
  return 1;
}

// Sorts keys of so many bits, none negative, and tells in `order` where each was before: a stable radix sort.
void zeroskip_sort(int64_t* keys, int64_t* order, int64_t count, int bits, int threads) {
  for (int64_t row = 0; row < count; ++row) order[row] = row;
  radix_sort<true>(keys, order, count, bits, threads);
}

// Sorts keys of so many bits, none negative, and moves the different ones to the front. Returns their number.
int64_t zeroskip_unique(int64_t* keys, int64_t count, int bits, int threads) {
  if (!std::is_sorted(keys, keys + count)) radix_sort<false>(keys, nullptr, count, bits, threads);
  return std::unique(keys, keys + count) - keys;
}

// Coordinates (count, columns) of keys.
void zeroskip_unpack(const int64_t* keys, int64_t count, int64_t columns, const int64_t* least, const int64_t* shifts,
                     const int64_t* bits, int32_t* coords, int threads) {
#pragma omp parallel for num_threads(threads)
  for (int64_t row = 0; row < count; ++row)
    for (int64_t column = 0; column < columns; ++column)
      coords[row * columns + column] =
          int32_t((keys[row] >> shifts[column] & ((int64_t(1) << bits[column]) - 1)) + least[column]);
}

// Keys of the outputs of a dense convolution that see each input (count, 1 + axes), in any order and with repetitions:
// along each axis all o from least to largest with o * stride + first + k * dilation = the input. Fields of keys are less
// `least`, at `shifts`. Returns their number; `keys` may be null.
int64_t zeroskip_reached(const int32_t* coords, int64_t count, int64_t axes, const int64_t* size, const int64_t* stride,
                         const int64_t* first, const int64_t* dilation, const int64_t* least, const int64_t* largest,
                         const int64_t* shifts, int64_t* keys, int threads) {
  const int parts = count > kFewRows ? std::max(threads, 1) : 1;
  std::vector<int64_t> sizes(parts, 0);
  // Each part writes behind those before it: their numbers are counted first.
  for (int pass = 0; pass < (keys ? 2 : 1); ++pass) {
#pragma omp parallel for num_threads(parts)
    for (int part = 0; part < parts; ++part) {
      int64_t* target = keys;
      if (pass == 1)
        for (int other = 0; other < part; ++other) target += sizes[other];
      std::vector<std::vector<int64_t>> found(axes);
      int64_t total = 0;
      for (int64_t row = count * part / parts; row < count * (part + 1) / parts; ++row) {
        const int32_t* values = coords + row * (axes + 1);
        int64_t combinations = 1;
        for (int64_t axis = 0; axis < axes; ++axis) {
          found[axis].clear();
          for (int64_t element = 0; element < size[axis]; ++element) {
            const int64_t place = values[axis + 1] - first[axis] - element * dilation[axis];
            const int64_t output = place / stride[axis];
            if (output * stride[axis] == place && output >= least[axis + 1] && output <= largest[axis + 1])
              found[axis].push_back((output - least[axis + 1]) << shifts[axis + 1]);
          }
          combinations *= int64_t(found[axis].size());
        }
        total += combinations;
        if (pass == 0) continue;
        for (int64_t number = 0; number < combinations; ++number) {
          int64_t key = (values[0] - least[0]) << shifts[0], rest = number;
          for (int64_t axis = axes - 1; axis >= 0; --axis) {
            key += found[axis][rest % int64_t(found[axis].size())];
            rest /= int64_t(found[axis].size());
          }
          *target++ = key;
        }
      }
      if (pass == 0) sizes[part] = total;
    }
  }
  int64_t total = 0;
  for (int64_t one : sizes) total += one;
  return total;
}

// Looks up key + step in `keys` for each of the first `looked_up` elements and each output. Both lists are sorted; the
// orders give the rows of their entries, or are null where those are the rows. counts[element] is the number of pairs.
// zeroskip_take returns the pairs and frees them.
void* zeroskip_search(const int64_t* keys, int64_t in_count, const int64_t* in_order, const int64_t* queries,
                      int64_t out_count, const int64_t* out_order, const int64_t* steps, int64_t looked_up,
                      int64_t* counts, int threads) {
  Found* found = new Found;
  found->inputs.resize(looked_up);
  found->outputs.resize(looked_up);
#pragma omp parallel num_threads(threads)
  {
    std::vector<int32_t> inputs(out_count), outputs(out_count), by_row(out_order ? out_count : 0);
#pragma omp for schedule(dynamic)
    for (int64_t element = 0; element < looked_up; ++element) {
      const int64_t step = steps[element];
      int64_t size = 0, place = 0, row = 0;
      while (row < out_count && place < in_count) {
        const int64_t wanted = queries[row] + step, key = keys[place];
        inputs[size] = int32_t(place);
        outputs[size] = int32_t(row);
        size += key == wanted;
        place += key <= wanted;
        row += key >= wanted;
      }
      if (in_order)
        for (int64_t pair = 0; pair < size; ++pair) inputs[pair] = int32_t(in_order[inputs[pair]]);
      if (out_order) {
        std::fill(by_row.begin(), by_row.end(), -1);
        for (int64_t pair = 0; pair < size; ++pair) by_row[out_order[outputs[pair]]] = inputs[pair];
        size = 0;
        for (int64_t output = 0; output < out_count; ++output) {
          inputs[size] = by_row[output];
          outputs[size] = int32_t(output);
          size += by_row[output] >= 0;
        }
      }
      found->inputs[element].assign(inputs.begin(), inputs.begin() + size);
      found->outputs[element].assign(outputs.begin(), outputs.begin() + size);
      counts[element] = size;
    }
  }
  return found;
}

// Writes the pairs of all elements from `starts[element]` on, by element and then by output, and frees them. With
// `mirrored` half of the elements were looked up: the centre maps each row onto itself, and the others are the first
// half with inputs and outputs exchanged, sorted anew unless rows are `sorted` as their keys.
void zeroskip_take(void* handle, int32_t* inputs, int32_t* outputs, const int64_t* starts, int64_t volume,
                   int mirrored, int sorted, int64_t count, int threads) {
  Found* found = static_cast<Found*>(handle);
  const int64_t looked_up = int64_t(found->inputs.size());
#pragma omp parallel num_threads(threads)
  {
    std::vector<int32_t> by_row(mirrored && !sorted ? count : 0);
#pragma omp for schedule(dynamic)
    for (int64_t element = 0; element < volume; ++element) {
      int32_t *in = inputs + starts[element], *out = outputs + starts[element];
      if (element < looked_up) {
        std::copy(found->inputs[element].begin(), found->inputs[element].end(), in);
        std::copy(found->outputs[element].begin(), found->outputs[element].end(), out);
      } else if (element == looked_up) {
        for (int64_t row = 0; row < count; ++row) in[row] = out[row] = int32_t(row);
      } else {
        const std::vector<int32_t>&from = found->outputs[volume - 1 - element], &to = found->inputs[volume - 1 - element];
        if (sorted) {
          std::copy(from.begin(), from.end(), in);
          std::copy(to.begin(), to.end(), out);
        } else {
          std::fill(by_row.begin(), by_row.end(), -1);
          for (size_t pair = 0; pair < to.size(); ++pair) by_row[to[pair]] = from[pair];
          int64_t size = 0;
          for (int64_t row = 0; row < count; ++row)
            if (by_row[row] >= 0) {
              in[size] = by_row[row];
              out[size++] = int32_t(row);
            }
        }
      }
    }
  }
  delete found;
}
}
