// SPDX-License-Identifier: Apache-2.0
/*
 * Reading the kernel's trace while it is made, so that its buffer need not hold all of it.
 *
 * Runs as a process of its own: `trace PLACE PAGES`, PLACE a folder to mount tracefs at
 * for a moment. Whenever FULL per cent of the buffer are in use, PAGES pages, which must
 * be less, go to stdout as they are (wire/ftrace.py describes them): it never meets the
 * end of what there is, and so neither fails a call, which would take virtual time, nor
 * reads what it itself has caused. It says "ready" on stderr, and with SIGTERM it stops
 * the trace, writes all that is left, and ends.
 */
#include "agent.h"

#define FULL "3"	/* per cent; what a kernel that dies still has in its buffer is lost */
#define PAGE 4096

static int open_trace(const char *name, int flags)
{
	int fd = open(name, flags | O_CLOEXEC);

	if (fd < 0)
		fail(name);
	return fd;
}

static void set(int fd, const char *value)
{
	if (write(fd, value, strlen(value)) < 0)
		fail("setting up the trace");
}

/* Carry that many pages from the trace to stdout; whether there were so many. */
static bool carry(int trace, unsigned long pages)
{
	static char page[PAGE];

	while (pages--) {
		ssize_t size = read(trace, page, sizeof(page));

		if (size <= 0)
			return false;
		write_out(page, size);
	}
	return true;
}

int trace(int count, char **arguments)
{
	struct pollfd sources[2] = { { .events = POLLIN }, { .events = POLLIN } };
	unsigned long pages;
	int on;

	if (count != 2)
		return 2;
	pages = strtoul(arguments[1], NULL, 10);
	mkdir(arguments[0], 0700);
	if (mount("none", arguments[0], "tracefs", 0, "") || chdir(arguments[0]))
		fail("mounting tracefs");
	on = open_trace("tracing_on", O_WRONLY);
	set(open_trace("buffer_percent", O_WRONLY), FULL);
	sources[0].fd = open_trace("per_cpu/cpu0/trace_pipe_raw", O_RDONLY | O_NONBLOCK);
	if (chdir("/") || umount2(arguments[0], MNT_DETACH) || rmdir(arguments[0]))
		fail("unmounting tracefs");
	sources[1].fd = told_to_end();
	fprintf(stderr, "ready\n");
	for (;;) {
		if (poll(sources, 2, -1) < 0)
			continue;
		if (sources[1].revents)
			break;
		carry(sources[0].fd, pages);
	}
	set(on, "0");
	while (carry(sources[0].fd, pages))
		;
	return 0;
}
