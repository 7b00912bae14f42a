// SPDX-License-Identifier: Apache-2.0
/*
 * Waits in every way that Linux offers, for many lengths of time, and prints how
 * late each wait ended by CLOCK_MONOTONIC: "WAY LENGTH_NS LATE_NS".
 */
#define _GNU_SOURCE
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#define MS 1000000LL
#define SECOND 1000000000LL

static int epoll;

static long long now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * SECOND + t.tv_nsec;
}

static struct timespec timespec(long long ns)
{
	return (struct timespec){ ns / SECOND, ns % SECOND };
}

static void by_nanosleep(long long ns)
{
	struct timespec t = timespec(ns);

	clock_nanosleep(CLOCK_MONOTONIC, 0, &t, NULL);
}

static void by_deadline(long long ns)
{
	struct timespec t = timespec(now_ns() + ns);

	clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL);
}

static void by_poll(long long ns)
{
	poll(NULL, 0, ns / MS);
}

static void by_ppoll(long long ns)
{
	struct timespec t = timespec(ns);

	ppoll(NULL, 0, &t, NULL);
}

static void by_select(long long ns)
{
	struct timeval t = { ns / SECOND, ns % SECOND / 1000 };

	select(0, NULL, NULL, NULL, &t);
}

static void by_epoll(long long ns)
{
	struct epoll_event event;

	epoll_wait(epoll, &event, 1, ns / MS);
}

static void by_timerfd(long long ns)
{
	struct itimerspec t = { .it_value = timespec(ns) };
	int fd = timerfd_create(CLOCK_MONOTONIC, 0);
	uint64_t count;

	if (timerfd_settime(fd, 0, &t, NULL) || read(fd, &count, sizeof(count)) < 0)
		exit(1);
	close(fd);
}

/* Wait by nothing but asking the time; late is how much the last answer was. */
static void spin(long long ns)
{
	long long end, seen;

	usleep(1);	/* whoever has slept begins to spin anew */
	end = now_ns() + ns;
	do
		seen = now_ns();
	while (seen < end);
	printf("spin %lld %lld\n", ns, seen - end);
}

static const struct {
	const char *name;
	void (*wait)(long long ns);
	long long unit;
} ways[] = {
	{ "clock_nanosleep", by_nanosleep, 1 },
	{ "deadline", by_deadline, 1 },
	{ "poll", by_poll, MS },
	{ "ppoll", by_ppoll, 1 },
	{ "select", by_select, 1000 },
	{ "epoll_wait", by_epoll, MS },
	{ "timerfd", by_timerfd, 1 },
};

static const long long lengths[] = {
	1, 1000, 50000, 999999, 1 * MS, 1000001, 3500000, 10 * MS,
	123456789, 1 * SECOND, 1234567890, 60 * SECOND, 3600 * SECOND,
};

int main(void)
{
	unsigned int way, i;

	epoll = epoll_create1(0);
	for (way = 0; way < sizeof(ways) / sizeof(*ways); way++)
		for (i = 0; i < sizeof(lengths) / sizeof(*lengths); i++) {
			long long ns = lengths[i] - lengths[i] % ways[way].unit, began;

			if (!ns)
				continue;
			began = now_ns();
			ways[way].wait(ns);
			printf("%s %lld %lld\n", ways[way].name, ns, now_ns() - began - ns);
		}
	for (i = 0; lengths[i] <= 10 * MS; i++)
		spin(lengths[i]);
	return 0;
}
