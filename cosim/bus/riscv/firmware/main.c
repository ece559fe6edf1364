/* Loads the network of the ROM into the core, runs the images of the ROM, and tells the mailbox what came.
 * SPDX-License-Identifier: Apache-2.0 */
#include "zeroskip_eie.h"

/* Addresses of system.v. */
#define ROM ((const uint32_t *)0x20000000)
#define MAILBOX ((volatile uint32_t *)0x30000000)
#define CORE ((volatile void *)0x40000000)
#define CORE_INTERRUPT (1u << 3)

/* The mailbox's registers: a line of the record begins, it has a number more, a run is shown, all is done. */
enum { LINE, NUMBER, SHOW_MODEL, SHOW_CORE, SHOW_PROCESSOR, END };

/* An address of the core at which nothing is: the last one before its windows. */
#define NOTHING 0xFFCu

/* The test bench ends sooner. */
#define POLLS 100000000u

uint32_t mask_interrupts(uint32_t mask);
void wait_for_interrupt(void);
void on_interrupt(void);
int main(void);

static struct zeroskip core;

void on_interrupt(void)
{
    zeroskip_take(&core);
}

static uint32_t cycle(void)
{
    uint32_t now;
    __asm__ volatile("rdcycle %0" : "=r"(now));
    return now;
}

static void line(char kind, int number)
{
    MAILBOX[LINE] = (uint8_t)kind;
    MAILBOX[NUMBER] = (uint32_t)number;
}

/* Between the look and the wait no interrupt may be lost: it is masked, and waits. */
static int sleep_until_done(void)
{
    int result;

    while ((result = zeroskip_result(&core)) == ZEROSKIP_BUSY) {
        mask_interrupts(~0u);
        if (zeroskip_result(&core) == ZEROSKIP_BUSY) wait_for_interrupt();
        mask_interrupts(~CORE_INTERRUPT);
    }
    return result;
}

/* A run: the first layer, how many inputs and outputs, the cycles of the cycle model, and the inputs, two in a word.
 * Returns where the next one is. */
static const uint32_t *run(const uint32_t *job, int by_interrupt)
{
    const int16_t *image = (const int16_t *)(job + 4);
    uint32_t first = job[0], inputs = job[1], outputs = job[2], begin = cycle(), index;
    int16_t result;
    int error;

    zeroskip_interrupts(&core, by_interrupt);
    error = zeroskip_start(&core, first, image, inputs);
    if (!error) error = by_interrupt ? sleep_until_done() : zeroskip_wait(&core, POLLS);
    MAILBOX[SHOW_PROCESSOR] = cycle() - begin;
    MAILBOX[SHOW_MODEL] = job[3];
    MAILBOX[SHOW_CORE] = zeroskip_cycles(&core);

    line('C', error);
    MAILBOX[NUMBER] = zeroskip_cycles(&core);
    MAILBOX[LINE] = 'O';
    for (index = 0; index < outputs && !error; index++) {
        error = zeroskip_read(&core, index, &result, 1);
        MAILBOX[NUMBER] = (uint32_t)(int32_t)result;
    }
    return job + 4 + ((inputs + 1) >> 1);
}

int main(void)
{
    const uint32_t *network = ROM + 2, *job = network + ROM[0];
    const int16_t *image;
    struct zeroskip_counters counters;
    uint32_t index;

    line('N', zeroskip_open(&core, CORE));
    MAILBOX[NUMBER] = (uint32_t)zeroskip_load(&core, network, ROM[0] - 1);
    MAILBOX[NUMBER] = (uint32_t)zeroskip_load(&core, network, ROM[0]);
    mask_interrupts(~CORE_INTERRUPT);
    image = (const int16_t *)(job + 4);
    for (index = 0; index < ROM[1]; index++) job = run(job, index & 1);

    /* Each of these is refused, and the run behind them is as it should be. */
    zeroskip_interrupts(&core, 0);
    line('E', zeroskip_start(&core, 0xFFFF, image, 1));
    MAILBOX[NUMBER] = (uint32_t)zeroskip_start(&core, 0, image, 0);
    *(volatile uint32_t *)CORE = 0;
    zeroskip_take(&core);
    MAILBOX[NUMBER] = (uint32_t)zeroskip_result(&core);
    zeroskip_stream(&core, 0, 1, 1);
    MAILBOX[NUMBER] = (uint32_t)zeroskip_stream_end(&core);
    (void)((volatile uint32_t *)CORE)[NOTHING / 4];
    zeroskip_take(&core);
    MAILBOX[NUMBER] = (uint32_t)zeroskip_result(&core);
    zeroskip_stream(&core, 0, 1, 1);
    MAILBOX[NUMBER] = (uint32_t)zeroskip_start(&core, 0, image, 1);
    MAILBOX[NUMBER] = (uint32_t)zeroskip_stream_end(&core);
    run(network + ROM[0], 0);

    zeroskip_count(&core, &counters);
    line('S', (int)counters.runs);
    MAILBOX[NUMBER] = counters.busy_cycles;
    MAILBOX[NUMBER] = counters.dropped;
    MAILBOX[END] = 0;
    return 0;
}
