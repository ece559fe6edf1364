/* Driver of the EIE array on a bus. SPDX-License-Identifier: Apache-2.0 */
#include "zeroskip_eie.h"

#define AT(core, address) (core)->base[(address) / 4]
#define REGISTER(core, name) AT(core, ZEROSKIP_EIE_##name)
#define FIELD(value, name) (((value) & ZEROSKIP_EIE_##name##__MASK) >> ZEROSKIP_EIE_##name##__LOW)
#define ALL_EVENTS 0xFFFFFFFFu

/* The head of a network's image (zeroskip.cosim.bus.network_image). */
enum { MAGIC, IMAGE_VERSION, WORDS, SIZES, INPUTS_AT = SIZES + 6, RESULTS_AT, BLOCKS, HEAD_WORDS };
#define NETWORK_MAGIC 0x4E4B535Au
#define NETWORK_VERSION 1u

static int error_of(uint32_t events)
{
    if (events & ZEROSKIP_EIE_EVENTS__LOCKED__MASK) return ZEROSKIP_LOCKED;
    if (events & ZEROSKIP_EIE_EVENTS__ILLEGAL__MASK) return ZEROSKIP_ILLEGAL;
    if (events & ZEROSKIP_EIE_EVENTS__UNMAPPED__MASK) return ZEROSKIP_UNMAPPED;
    if (events & ZEROSKIP_EIE_EVENTS__SHORT__MASK) return ZEROSKIP_SHORT;
    if (events & ZEROSKIP_EIE_EVENTS__LONG__MASK) return ZEROSKIP_LONG;
    if (events & ZEROSKIP_EIE_EVENTS__KEEP__MASK) return ZEROSKIP_KEEP;
    return ZEROSKIP_OK;
}

/* Forgets what has happened, before accesses that may be refused. */
static void forget(struct zeroskip *core)
{
    REGISTER(core, EVENTS) = ALL_EVENTS;
    core->events = 0;
}

/* What was wrong since `forget`, also where a handler has taken the event. */
static int refused(const struct zeroskip *core)
{
    uint32_t here = REGISTER(core, EVENTS);
    return error_of(here | core->events);
}

int zeroskip_open(struct zeroskip *core, volatile void *base)
{
    uint32_t id, array, pes;

    core->base = (volatile uint32_t *)base;
    core->inputs_at = core->results_at = 0;
    id = REGISTER(core, ID);
    if (FIELD(id, ID__MAGIC) != ZEROSKIP_EIE_ID__MAGIC__VALUE || FIELD(id, ID__CORE) != ZEROSKIP_EIE_ID__CORE__VALUE)
        return ZEROSKIP_NO_CORE;
    if (REGISTER(core, VERSION) != ZEROSKIP_EIE_VERSION__VERSION__VALUE) return ZEROSKIP_OTHER_MAP;
    array = REGISTER(core, ARRAY);
    core->layers = FIELD(array, ARRAY__LAYERS);
    core->values = REGISTER(core, ROWS);
    /* A power of two: a processor may have no multiplier. */
    for (pes = FIELD(array, ARRAY__PES); pes > 1; pes >>= 1) core->values <<= 1;
    core->lanes = FIELD(REGISTER(core, FORMAT), FORMAT__LANES);
    REGISTER(core, INTERRUPTS) = 0;
    REGISTER(core, STREAM) = ZEROSKIP_EIE_STREAM__FLUSH__MASK;
    forget(core);
    return REGISTER(core, STATUS) & ZEROSKIP_EIE_STATUS__RUNNING__MASK ? ZEROSKIP_BUSY : ZEROSKIP_OK;
}

/* Whether this is a whole network for this core. */
static int check_network(const struct zeroskip *core, const uint32_t *network, uint32_t words)
{
    static const uint32_t sizes[6] = {ZEROSKIP_EIE_ARRAY,           ZEROSKIP_EIE_ROWS,   ZEROSKIP_EIE_WORDS,
                                      ZEROSKIP_EIE_POINTERS_OF_PE, ZEROSKIP_EIE_FORMAT, ZEROSKIP_EIE_ARITHMETIC};
    uint32_t at, block, index;

    if (words < HEAD_WORDS || network[MAGIC] != NETWORK_MAGIC || network[IMAGE_VERSION] != NETWORK_VERSION ||
        network[WORDS] != words)
        return ZEROSKIP_NO_NETWORK;
    for (index = 0; index < 6; index++) {
        /* How wide the streams are is of no matter. */
        uint32_t mask = sizes[index] == ZEROSKIP_EIE_ARITHMETIC ? ~ZEROSKIP_EIE_ARITHMETIC__STREAM_BITS__MASK : ~0u;
        if ((AT(core, sizes[index]) & mask) != network[SIZES + index]) return ZEROSKIP_OTHER_SIZES;
    }
    for (at = HEAD_WORDS, block = 0; block < network[BLOCKS]; block++) {
        if (words - at < 2 || words - at - 2 < network[at + 1]) return ZEROSKIP_NO_NETWORK;
        at += 2 + network[at + 1];
    }
    return at == words ? ZEROSKIP_OK : ZEROSKIP_NO_NETWORK;
}

int zeroskip_load(struct zeroskip *core, const uint32_t *network, uint32_t words)
{
    uint32_t at, block, address, count;
    int error = check_network(core, network, words);

    /* Nothing is written of an image that has been cut. */
    if (error) return error;
    forget(core);
    for (at = HEAD_WORDS, block = 0; block < network[BLOCKS]; block++) {
        address = network[at++];
        for (count = network[at++]; count > 0; count--, address += 4) AT(core, address) = network[at++];
    }
    core->inputs_at = network[INPUTS_AT];
    core->results_at = network[RESULTS_AT];
    return refused(core);
}

int zeroskip_start(struct zeroskip *core, uint32_t first, const int16_t *image, uint32_t count)
{
    uint32_t lanes = core->lanes, address = core->inputs_at, index, word;
    int error;

    if (!address) return ZEROSKIP_NOT_LOADED;
    if (first >= core->layers || count < 1 || count > core->values) return ZEROSKIP_RANGE;
    forget(core);
    REGISTER(core, FIRST) = first;
    /* A word of the window has `lanes` values, two in 32 bits, and is written to its end. */
    for (index = 0; index < count || (index & (lanes - 1)); address += 4) {
        word = index < count ? (uint16_t)image[index] : 0;
        index++;
        if (lanes > 1) {
            word |= index < count ? (uint32_t)(uint16_t)image[index] << 16 : 0;
            index++;
        }
        AT(core, address) = word;
    }
    /* Before the start: what was refused must not run. */
    error = refused(core);
    if (!error) REGISTER(core, START) = ZEROSKIP_EIE_START__START__MASK;
    return error;
}

int zeroskip_result(const struct zeroskip *core)
{
    uint32_t events = core->events;

    if (error_of(events)) return error_of(events);
    return events & ZEROSKIP_EIE_EVENTS__DONE__MASK ? ZEROSKIP_OK : ZEROSKIP_BUSY;
}

int zeroskip_wait(struct zeroskip *core, uint32_t polls)
{
    for (; polls > 0; polls--)
        if (!(REGISTER(core, STATUS) & ZEROSKIP_EIE_STATUS__RUNNING__MASK)) {
            zeroskip_take(core);
            return zeroskip_result(core);
        }
    return ZEROSKIP_TIMEOUT;
}

int zeroskip_read(struct zeroskip *core, uint32_t from, int16_t *results, uint32_t count)
{
    uint32_t index, address = core->results_at + 4 * from;

    if (!core->results_at) return ZEROSKIP_NOT_LOADED;
    if (count < 1 || from > core->values || count > core->values - from) return ZEROSKIP_RANGE;
    for (index = 0; index < count; index++, address += 4) results[index] = (int16_t)AT(core, address);
    return refused(core);
}

int zeroskip_run(struct zeroskip *core, uint32_t first, const int16_t *image, uint32_t inputs, int16_t *results,
                 uint32_t outputs, uint32_t polls)
{
    int error = zeroskip_start(core, first, image, inputs);

    if (!error) error = zeroskip_wait(core, polls);
    return error ? error : zeroskip_read(core, 0, results, outputs);
}

void zeroskip_interrupts(struct zeroskip *core, int on)
{
    REGISTER(core, INTERRUPTS) = on ? ALL_EVENTS : 0;
}

void zeroskip_take(struct zeroskip *core)
{
    uint32_t events = REGISTER(core, EVENTS);

    REGISTER(core, EVENTS) = events;
    core->events |= events;
}

uint32_t zeroskip_cycles(const struct zeroskip *core)
{
    return REGISTER(core, CYCLES);
}

void zeroskip_count(const struct zeroskip *core, struct zeroskip_counters *counters)
{
    counters->runs = REGISTER(core, RUNS);
    counters->busy_cycles = REGISTER(core, BUSY_CYCLES);
    counters->blocked_cycles = REGISTER(core, BLOCKED_CYCLES);
    counters->drain_cycles = REGISTER(core, DRAIN_CYCLES);
    counters->weights = REGISTER(core, WEIGHTS);
    counters->starved_cycles = REGISTER(core, STARVED_CYCLES);
    counters->waiting_cycles = REGISTER(core, WAITING_CYCLES);
    counters->dropped = REGISTER(core, DROPPED);
}

/* Says how large images and results are that come without the driver. */
static int set_sizes(struct zeroskip *core, uint32_t first, uint32_t inputs, uint32_t outputs)
{
    if (!core->inputs_at) return ZEROSKIP_NOT_LOADED;
    if (first >= core->layers || inputs < 1 || inputs > core->values || outputs < 1 || outputs > core->values)
        return ZEROSKIP_RANGE;
    forget(core);
    REGISTER(core, FIRST) = first;
    REGISTER(core, INPUTS) = inputs;
    REGISTER(core, OUTPUTS) = outputs;
    return refused(core);
}

int zeroskip_stream(struct zeroskip *core, uint32_t first, uint32_t inputs, uint32_t outputs)
{
    int error = set_sizes(core, first, inputs, outputs);

    if (!error) REGISTER(core, STREAM) = ZEROSKIP_EIE_STREAM__ENABLE__MASK;
    return error;
}

int zeroskip_stream_end(struct zeroskip *core)
{
    REGISTER(core, STREAM) = ZEROSKIP_EIE_STREAM__FLUSH__MASK;
    return refused(core);
}

#ifdef ZEROSKIP_EIE_LIST
/* The kinds of descriptors, and where a word has them. */
enum { LOAD, IMAGE, RESULT };
#define KIND_LOW 28
#define DESCRIPTOR_BYTES 16u
#define LIST_ERRORS (-32)

int zeroskip_list_begin(struct zeroskip_list *list, volatile void *memory, uint32_t address, uint32_t room)
{
    list->memory = (volatile uint32_t *)memory;
    list->address = address;
    list->room = room;
    list->count = 0;
    return address & (DESCRIPTOR_BYTES - 1) ? ZEROSKIP_RANGE : ZEROSKIP_OK;
}

/* The new descriptor is the last one, until another one follows. */
static int add(struct zeroskip_list *list, uint32_t address, uint32_t length, uint32_t what)
{
    volatile uint32_t *words = list->memory + 4 * list->count;

    if (list->count == list->room) return ZEROSKIP_LIST_FULL;
    words[0] = 0;
    words[1] = address;
    words[2] = length;
    words[3] = what;
    if (list->count) words[-4] = list->address + DESCRIPTOR_BYTES * list->count;
    list->count++;
    return ZEROSKIP_OK;
}

int zeroskip_list_load(struct zeroskip_list *list, uint32_t address, uint32_t length, uint32_t target)
{
    return target >> KIND_LOW ? ZEROSKIP_RANGE : add(list, address, length, (uint32_t)LOAD << KIND_LOW | target);
}

int zeroskip_list_image(struct zeroskip_list *list, uint32_t address, uint32_t values)
{
    return add(list, address, 2 * values, (uint32_t)IMAGE << KIND_LOW);
}

int zeroskip_list_result(struct zeroskip_list *list, uint32_t address, uint32_t values)
{
    return add(list, address, 2 * values, (uint32_t)RESULT << KIND_LOW);
}

int zeroskip_list_network(struct zeroskip *core, struct zeroskip_list *list, const uint32_t *network, uint32_t words,
                          uint32_t address)
{
    uint32_t at = HEAD_WORDS, block;
    int error = check_network(core, network, words);

    if (error) return error;
    if (network[BLOCKS] > list->room - list->count) return ZEROSKIP_LIST_FULL;
    for (block = 0; block < network[BLOCKS] && !error; block++) {
        error = zeroskip_list_load(list, address + 4 * (at + 2), 4 * network[at + 1], network[at]);
        at += 2 + network[at + 1];
    }
    core->inputs_at = network[INPUTS_AT];
    core->results_at = network[RESULTS_AT];
    return error;
}

int zeroskip_list_images(struct zeroskip *core, struct zeroskip_list *list, uint32_t first, uint32_t inputs,
                         uint32_t outputs, uint32_t images, uint32_t results, uint32_t count)
{
    /* From one to the next, in memory: whole words. */
    uint32_t image_bytes = 4 * ((inputs + 1) >> 1), result_bytes = 4 * ((outputs + 1) >> 1), index;
    int error = set_sizes(core, first, inputs, outputs);

    if (error) return error;
    if (count < 1) return ZEROSKIP_RANGE;
    if (count > (list->room - list->count) >> 1) return ZEROSKIP_LIST_FULL;
    zeroskip_list_image(list, images, inputs);
    for (index = 1; index <= count; index++) {
        images += image_bytes;
        if (index < count) zeroskip_list_image(list, images, inputs);
        zeroskip_list_result(list, results, outputs);
        results += result_bytes;
    }
    return ZEROSKIP_OK;
}

int zeroskip_list_start(struct zeroskip *core, const struct zeroskip_list *list)
{
    int error;

    if (!list->count) return ZEROSKIP_RANGE;
    forget(core);
    REGISTER(core, LIST) = list->address;
    error = refused(core);
    if (!error) REGISTER(core, LIST_START) = ZEROSKIP_EIE_LIST_START__START__MASK;
    return error;
}

int zeroskip_list_end(const struct zeroskip *core)
{
    uint32_t error;

    if (!(core->events & ZEROSKIP_EIE_EVENTS__LIST__MASK)) return ZEROSKIP_BUSY;
    error = FIELD(REGISTER(core, LIST_STATUS), LIST_STATUS__ERROR);
    return error ? LIST_ERRORS - (int)error : ZEROSKIP_OK;
}

int zeroskip_list_wait(struct zeroskip *core, uint32_t polls)
{
    for (; polls > 0; polls--)
        if (!(REGISTER(core, LIST_STATUS) & ZEROSKIP_EIE_LIST_STATUS__RUNNING__MASK)) {
            zeroskip_take(core);
            return zeroskip_list_end(core);
        }
    return ZEROSKIP_TIMEOUT;
}

void zeroskip_list_stop(struct zeroskip *core)
{
    REGISTER(core, LIST_STOP) = ZEROSKIP_EIE_LIST_STOP__STOP__MASK;
}

uint32_t zeroskip_list_at(const struct zeroskip *core)
{
    return REGISTER(core, LIST_AT);
}
#endif
