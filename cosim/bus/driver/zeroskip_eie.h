/* Driver of the EIE array on a bus: C99, without an operating system or a library.
 *
 *     static struct zeroskip core;
 *     int error = zeroskip_open(&core, (void *)0x40000000);
 *     if (!error) error = zeroskip_load(&core, network, network_words);
 *     if (!error) error = zeroskip_run(&core, 0, image, inputs, result, outputs, 1000000);
 *
 * Each function returns ZEROSKIP_OK or one of the negative codes below, after which the core can be used again.
 * Map the addresses of the core as device memory: each access must reach it, in order.
 *
 * With interrupts: zeroskip_interrupts(&core, 1), zeroskip_take(&core) in the handler, zeroskip_start in place of
 * zeroskip_run, and zeroskip_read when zeroskip_result is no longer ZEROSKIP_BUSY.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef ZEROSKIP_EIE_DRIVER_H
#define ZEROSKIP_EIE_DRIVER_H

#include <stdint.h>

#include "eie_axi_array.h"

enum {
    ZEROSKIP_OK = 0,
    /* At the address is no EIE array of zeroskip. */
    ZEROSKIP_NO_CORE = -1,
    /* Its register map has another version. */
    ZEROSKIP_OTHER_MAP = -2,
    /* What was given is no image of a network, or not a whole one. */
    ZEROSKIP_NO_NETWORK = -3,
    /* The network was compiled for a core of other sizes. */
    ZEROSKIP_OTHER_SIZES = -4,
    /* No such layer; no values, or more than the array has. */
    ZEROSKIP_RANGE = -5,
    /* No network was loaded. */
    ZEROSKIP_NOT_LOADED = -6,
    /* A run is under way. */
    ZEROSKIP_BUSY = -7,
    /* It did not end in time. */
    ZEROSKIP_TIMEOUT = -8,
    /* The core flagged the event of this name: registers/ and the data sheet tell what they mean. */
    ZEROSKIP_LOCKED = -9,
    ZEROSKIP_ILLEGAL = -10,
    ZEROSKIP_UNMAPPED = -11,
    ZEROSKIP_SHORT = -12,
    ZEROSKIP_LONG = -13,
    ZEROSKIP_KEEP = -14
};

/* A core; zeroskip_open fills it. */
struct zeroskip {
    volatile uint32_t *base;
    /* Rows of the layer table, the most values of an image or a result, and those of a word of INPUTS_OF_RUN. */
    uint32_t layers, values, lanes;
    /* Where the windows INPUTS_OF_RUN and RESULTS begin, in bytes; zero until a network is loaded. */
    uint32_t inputs_at, results_at;
    /* The events that zeroskip_take has taken since the last start. */
    volatile uint32_t events;
};

struct zeroskip_counters {
    uint32_t runs, busy_cycles, blocked_cycles, drain_cycles, weights, starved_cycles, waiting_cycles, dropped;
};

/* Looks what is at an address, switches its streams and its interrupts off, and forgets its events. */
int zeroskip_open(struct zeroskip *core, volatile void *base);

/* Loads a network: the words of driver/network.bin, from little-endian bytes. */
int zeroskip_load(struct zeroskip *core, const uint32_t *network, uint32_t words);

/* Loads an image and starts the layers from `first` on. */
int zeroskip_start(struct zeroskip *core, uint32_t first, const int16_t *image, uint32_t count);

/* ZEROSKIP_BUSY until events of a run have been taken; then how it ended. */
int zeroskip_result(const struct zeroskip *core);

/* Reads STATUS at most `polls` times, until the run has ended; returns how. Not with interrupts. */
int zeroskip_wait(struct zeroskip *core, uint32_t polls);

/* Reads `count` results of the last run, from result `from` on. */
int zeroskip_read(struct zeroskip *core, uint32_t from, int16_t *results, uint32_t count);

/* Start, wait and read. */
int zeroskip_run(struct zeroskip *core, uint32_t first, const int16_t *image, uint32_t inputs, int16_t *results,
                 uint32_t outputs, uint32_t polls);

/* Whether the end of a run and every error make the interrupt. */
void zeroskip_interrupts(struct zeroskip *core, int on);

/* Takes the events that have happened, and clears them: the handler of the interrupt. */
void zeroskip_take(struct zeroskip *core);

/* Cycles of the last run, from its start to its end. */
uint32_t zeroskip_cycles(const struct zeroskip *core);

/* What the core has counted since its reset. */
void zeroskip_count(const struct zeroskip *core, struct zeroskip_counters *counters);

/* Lets images come over the stream, and their results go; until zeroskip_stream_end, nothing else is done. */
int zeroskip_stream(struct zeroskip *core, uint32_t first, uint32_t inputs, uint32_t outputs);

/* Stops them, and forgets images that have not begun. Returns what was wrong with those that came. */
int zeroskip_stream_end(struct zeroskip *core);

#endif
