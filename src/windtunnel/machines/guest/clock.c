// SPDX-License-Identifier: Apache-2.0
/* The wall clock of a kernel that is one node: set forward or back, too fast or too slow. */
#include "agent.h"
#include <sys/timex.h>

#define SECOND_NS 1000000000
#define TICK_US 10000		/* what ADJ_TICK counts: of 100 ticks a second */
#define TICK_PPM 100		/* what one microsecond more of them makes */

/*
 * By an offset and not by clock_settime(2): between reading a clock and setting
 * it there would be time. CLOCK_MONOTONIC goes on as it was.
 */
void step_clock(const struct header *request, struct reader *reader)
{
	struct timex before = { 0 }, change = { .modes = ADJ_SETOFFSET | ADJ_NANO };
	struct timex unit = { .modes = ADJ_MICRO };
	int64_t step_ns = take_i64(reader);

	change.time.tv_sec = step_ns / SECOND_NS;
	change.time.tv_usec = step_ns % SECOND_NS;
	if (change.time.tv_usec < 0) {
		change.time.tv_usec += SECOND_NS;
		change.time.tv_sec--;
	}
	if (reader->bad)
		send_error(request, EINVAL, "bad request to set the clock");
	else if (adjtimex(&before) < 0 || adjtimex(&change) < 0)
		send_error(request, errno, "adjtimex, ADJ_SETOFFSET");
	else if (!(before.status & STA_NANO) && adjtimex(&unit) < 0)
		send_error(request, errno, "adjtimex, ADJ_MICRO");
	else
		send_ok(request, "", 0);
}

/* Parts in a million: as many as a tick takes, and the rest as a frequency. */
void drift_clock(const struct header *request, struct reader *reader)
{
	struct timex change = { .modes = ADJ_TICK | ADJ_FREQUENCY };
	int64_t ppm = take_i64(reader);
	int64_t ticks = (ppm + (ppm < 0 ? -TICK_PPM : TICK_PPM) / 2) / TICK_PPM;

	change.tick = TICK_US + ticks;
	change.freq = (ppm - ticks * TICK_PPM) * 65536;
	if (reader->bad)
		send_error(request, EINVAL, "bad request to let the clock drift");
	else if (adjtimex(&change) < 0)
		send_error(request, errno, "adjtimex, ADJ_TICK");
	else
		send_ok(request, "", 0);
}
