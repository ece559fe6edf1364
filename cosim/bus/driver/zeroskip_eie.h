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

#ifdef ZEROSKIP_EIE_LIST
/* Lists of descriptors, where the core takes them from a memory (--bus axi-master).
 *
 *     struct zeroskip_list list;
 *     int error = zeroskip_list_begin(&list, memory, address, 2 * count + 16);
 *     if (!error) error = zeroskip_list_network(&core, &list, network, network_words, network_address);
 *     if (!error) error = zeroskip_list_images(&core, &list, 0, inputs, outputs, images, results, count);
 *     if (!error) error = zeroskip_list_start(&core, &list);
 *     if (!error) error = zeroskip_list_wait(&core, 1000000);
 *
 * Addresses of the memory are those that the core sees. Where the processor has caches, what the core reads must be
 * written back before the start, and what it writes must not be in a cache when it is read. */
enum {
    /* No room for another descriptor. */
    ZEROSKIP_LIST_FULL = -15,
    /* How a list has ended, less LIST_STATUS.ERROR: docs/reference/bus.md tells what each means. */
    ZEROSKIP_LIST_DESCRIPTOR = -33,
    ZEROSKIP_LIST_READ = -34,
    ZEROSKIP_LIST_WRITE = -35,
    ZEROSKIP_LIST_ADDRESS = -36,
    ZEROSKIP_LIST_LENGTH = -37,
    ZEROSKIP_LIST_KIND = -38,
    ZEROSKIP_LIST_REFUSED = -39,
    ZEROSKIP_LIST_ORDER = -40,
    ZEROSKIP_LIST_STOPPED = -41
};

/* A list that is made; zeroskip_list_begin fills it. */
struct zeroskip_list {
    /* Where the processor writes it, four words for a descriptor, and where the core finds it. */
    volatile uint32_t *memory;
    uint32_t address;
    /* The most descriptors, and how many there are. */
    uint32_t room, count;
};

/* An empty list for `room` descriptors of 16 bytes; `address` is a multiple of 16. */
int zeroskip_list_begin(struct zeroskip_list *list, volatile void *memory, uint32_t address, uint32_t room);

/* Adds a write of `length` bytes to the core's addresses from `target` on. */
int zeroskip_list_load(struct zeroskip_list *list, uint32_t address, uint32_t length, uint32_t target);

/* Adds an image, and room for the next result: so many values of 16 bits at an address. */
int zeroskip_list_image(struct zeroskip_list *list, uint32_t address, uint32_t values);
int zeroskip_list_result(struct zeroskip_list *list, uint32_t address, uint32_t values);

/* Adds what loads a network, as zeroskip_load does. Its words must stay where they are, at `address` for the core. */
int zeroskip_list_network(struct zeroskip *core, struct zeroskip_list *list, const uint32_t *network, uint32_t words,
                          uint32_t address);

/* Adds `count` images and their results, each image while the one before it runs, and says to the core how large they
 * are. They follow each other from `images` and `results` on, each from a multiple of 4 on. */
int zeroskip_list_images(struct zeroskip *core, struct zeroskip_list *list, uint32_t first, uint32_t inputs,
                         uint32_t outputs, uint32_t images, uint32_t results, uint32_t count);

/* Starts a list. */
int zeroskip_list_start(struct zeroskip *core, const struct zeroskip_list *list);

/* ZEROSKIP_BUSY until the event of the list's end has been taken; then how it ended. */
int zeroskip_list_end(const struct zeroskip *core);

/* Reads LIST_STATUS at most `polls` times, until the list has ended; returns how. Not with interrupts. */
int zeroskip_list_wait(struct zeroskip *core, uint32_t polls);

/* Ends a list behind the descriptor at work; its end is ZEROSKIP_LIST_STOPPED. */
void zeroskip_list_stop(struct zeroskip *core);

/* The address of the descriptor at work, or at which the last list has ended. */
uint32_t zeroskip_list_at(const struct zeroskip *core);
#endif

#endif
