// SPDX-License-Identifier: GPL-2.0-only
/*
 * Lines that say themselves what they must be, printed in pieces by several threads and
 * by an interrupt at the same time: "W2 line 7: a7 b7 end7". For bench.printing.
 */
#include <linux/completion.h>
#include <linux/delay.h>
#include <linux/hrtimer.h>
#include <linux/kthread.h>
#include <linux/module.h>
#include <linux/prandom.h>

static int threads = 4;
static int lines = 200;
static int seed = 1;
module_param(threads, int, 0444);
module_param(lines, int, 0444);
module_param(seed, int, 0444);

#define INTERRUPT 9
#define PIECES_MAX 4

static struct completion ended;
static struct hrtimer timer;
static struct rnd_state timer_random;
static int timer_line;
static int timer_piece;
static int timer_pieces;

/* One call of printk of a line; true when the line is complete. */
static bool print_piece(int who, int line, int piece, int pieces)
{
	if (piece == 0)
		pr_info("W%d line %d:", who, line);
	else if (piece <= pieces)
		pr_cont(" %c%d", 'a' + piece - 1, line);
	else
		pr_cont(" end%d\n", line);
	return piece > pieces;
}

static int print_lines(void *data)
{
	struct rnd_state random;
	int who = (long)data;
	int line, piece, pieces;

	prandom_seed_state(&random, seed * 100 + who);
	for (line = 0; line < lines; line++) {
		pieces = prandom_u32_state(&random) % PIECES_MAX + 1;
		for (piece = 0; !print_piece(who, line, piece, pieces); piece++)
			if (prandom_u32_state(&random) % 3 == 0)
				usleep_range(50, 100);
	}
	complete(&ended);
	return 0;
}

static enum hrtimer_restart print_in_interrupt(struct hrtimer *which)
{
	if (timer_piece == 0)
		timer_pieces = prandom_u32_state(&timer_random) % PIECES_MAX + 1;
	if (print_piece(INTERRUPT, timer_line, timer_piece++, timer_pieces)) {
		timer_piece = 0;
		timer_line++;
	}
	if (timer_line == lines) {
		complete(&ended);
		return HRTIMER_NORESTART;
	}
	hrtimer_forward_now(which, ns_to_ktime(20000 + prandom_u32_state(&timer_random) % 90000));
	return HRTIMER_RESTART;
}

static int __init printing_begin(void)
{
	long who;
	int left;

	init_completion(&ended);
	prandom_seed_state(&timer_random, seed * 100 + INTERRUPT);
	hrtimer_setup(&timer, print_in_interrupt, CLOCK_MONOTONIC, HRTIMER_MODE_REL_HARD);
	hrtimer_start(&timer, ns_to_ktime(10000), HRTIMER_MODE_REL_HARD);
	for (who = 0; who < threads; who++)
		kthread_run(print_lines, (void *)who, "printing/%ld", who);
	for (left = threads + 1; left; left--)
		wait_for_completion(&ended);
	return 0;
}

static void __exit printing_end(void)
{
}

module_init(printing_begin);
module_exit(printing_end);
MODULE_DESCRIPTION("prints lines in pieces from several contexts at the same time");
MODULE_LICENSE("GPL");
