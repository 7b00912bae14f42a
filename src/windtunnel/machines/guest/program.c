// SPDX-License-Identifier: Apache-2.0
/* What the agent's other programs share: processes that do one thing until SIGTERM. */
#include "agent.h"

/* Say why on stderr, and end. */
void fail(const char *what)
{
	fprintf(stderr, "%s: %s\n", what, strerror(errno));
	_exit(1);
}

/* Write all of it to stdout. */
void write_out(const char *data, size_t size)
{
	while (size) {
		ssize_t done = write(1, data, size);

		if (done < 0 && errno == EINTR)
			continue;
		if (done <= 0)
			_exit(1);
		data += done;
		size -= done;
	}
}

/* A descriptor that can be read once we are to end. */
int told_to_end(void)
{
	sigset_t ends;
	int fd;

	sigemptyset(&ends);
	sigaddset(&ends, SIGTERM);
	sigprocmask(SIG_BLOCK, &ends, NULL);
	fd = signalfd(-1, &ends, SFD_CLOEXEC);
	if (fd < 0)
		fail("waiting for SIGTERM");
	return fd;
}
