// SPDX-License-Identifier: Apache-2.0
/*
 * The memory limit of a node.
 *
 * What needs more than the limit is killed by the kernel. But a kernel that is
 * told a limit below what is in use kills and looks again without ever
 * sleeping, while here time stands still, and so nobody who is killed gets to
 * end: it would look for ever, or kill more than it must. So we make room
 * first, and let each who is killed end.
 */
#include "agent.h"

#define END_MAX_MS 1000		/* who has not ended then waits for something in the kernel */

static unsigned long long memory_in_use(const struct node *node)
{
	char text[32] = "";
	int fd = openat(node->cgroup, "memory.current", O_RDONLY | O_CLOEXEC);

	if (fd >= 0) {
		if (read(fd, text, sizeof(text) - 1) < 0)
			*text = 0;
		close(fd);
	}
	return strtoull(text, NULL, 10);
}

/* Pages that are a process's own. */
static long own_pages(pid_t pid)
{
	long resident = 0, shared = 0;
	char path[64];
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/statm", pid);
	file = fopen(path, "re");
	if (!file)
		return 0;
	if (fscanf(file, "%*s %ld %ld", &resident, &shared) != 2)
		resident = shared = 0;
	fclose(file);
	return resident - shared;
}

/* The process of a node that has most memory; 0 if none has any. */
static pid_t find_largest(const struct node *node)
{
	int fd = openat(node->cgroup, "rest/cgroup.procs", O_RDONLY | O_CLOEXEC);
	FILE *file = fd < 0 ? NULL : fdopen(fd, "r");
	pid_t largest = 0;
	long most = 0;
	int pid;

	while (file && fscanf(file, "%d", &pid) == 1) {
		long pages = own_pages(pid);

		if (pages > most) {
			most = pages;
			largest = pid;
		}
	}
	if (file)
		fclose(file);
	return largest;
}

/* Kill a process and let it end; whether it has. */
static bool end_process(pid_t pid)
{
	struct pollfd end = { .fd = syscall(SYS_pidfd_open, pid, 0), .events = POLLIN };
	bool ended;

	if (end.fd < 0)
		return false;
	kill(pid, SIGKILL);
	ended = poll(&end, 1, END_MAX_MS) == 1;
	close(end.fd);
	return ended;
}

/* Have a node use no more than a limit: caches first, then the largest process. */
static void make_room(const struct node *node, unsigned long long limit)
{
	unsigned long long used = memory_in_use(node);
	char excess[32];
	pid_t largest;

	if (used <= limit)
		return;
	snprintf(excess, sizeof(excess), "%llu", used - limit);
	write_cgroup(node, "memory.reclaim", excess);
	while (memory_in_use(node) > limit && (largest = find_largest(node)))
		if (!end_process(largest))
			return;
}

void limit_memory(const struct header *request, struct reader *reader)
{
	struct node *node = find_grouped(request);
	char *limit = take_string(reader);

	if (!node)
		return;
	if (node->cgroup >= 0 && strcmp(limit, "max"))
		make_room(node, strtoull(limit, NULL, 10));
	if (reader->bad || write_cgroup(node, "memory.max", limit))
		send_error(request, reader->bad ? EINVAL : errno, "memory.max");
	else
		send_ok(request, "", 0);
}
