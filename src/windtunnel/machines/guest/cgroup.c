// SPDX-License-Identifier: Apache-2.0
/*
 * A cgroup for each node, so that all of its processes can be met at once.
 *
 * /cgroup/nodeN has the memory limit and the freezer; below it, "first" holds
 * the node's first process and "rest" all others, which can be killed without it.
 */
#include "agent.h"

/* A task that cannot be frozen for so long never will be: it waits in the kernel. */
#define FREEZE_MAX_MS 1000

static int write_in(int directory, const char *name, const char *value)
{
	int fd = openat(directory, name, O_WRONLY | O_CLOEXEC), result = 0;

	if (fd < 0)
		return -1;
	if (write(fd, value, strlen(value)) < 0)
		result = -1;
	close(fd);
	return result;
}

/* Make a node's cgroup; where the kernel has none, the node goes without. */
void make_cgroup(struct node *node, uint16_t number)
{
	char path[64];

	write_in(AT_FDCWD, "/cgroup/cgroup.subtree_control", "+memory");
	snprintf(path, sizeof(path), "/cgroup/node%u", number);
	mkdir(path, 0755);
	node->cgroup = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (node->cgroup < 0)
		die("making a cgroup");
	mkdirat(node->cgroup, "first", 0755);
	mkdirat(node->cgroup, "rest", 0755);
	node->members = openat(node->cgroup, "rest/cgroup.procs", O_WRONLY | O_CLOEXEC);
	if (node->members < 0) {	/* a directory like any other */
		close(node->cgroup);
		node->cgroup = -1;
	}
}

int join_first(int cgroup)
{
	return write_in(cgroup, "first/cgroup.procs", "0");
}

int write_cgroup(const struct node *node, const char *name, const char *value)
{
	if (node->cgroup < 0) {
		errno = ENOSYS;
		return -1;
	}
	return write_in(node->cgroup, name, value);
}

static struct node *find_grouped(const struct header *request)
{
	struct node *node = find_node(request->node);

	if (!node || !(node->namespaces & CLONE_NEWPID)) {
		send_error(request, EINVAL, "no node %u that can fail", request->node);
		return NULL;
	}
	return node;
}

static bool is_frozen(int events)
{
	char text[128];
	ssize_t size = pread(events, text, sizeof(text) - 1, 0);

	text[size > 0 ? size : 0] = 0;
	return strstr(text, "frozen 1") != NULL;
}

/* Wait until every process of a node stands still. */
static int await_frozen(const struct node *node)
{
	struct pollfd events = { .events = POLLPRI };
	int result = 0;

	events.fd = openat(node->cgroup, "cgroup.events", O_RDONLY | O_CLOEXEC);
	if (events.fd < 0)
		return -1;
	while (!result && !is_frozen(events.fd))
		if (poll(&events, 1, FREEZE_MAX_MS) == 0) {
			errno = ETIMEDOUT;
			result = -1;
		}
	close(events.fd);
	return result;
}

void freeze_node(const struct header *request, struct reader *reader)
{
	struct node *node = find_grouped(request);
	uint32_t on = take_u32(reader);

	if (!node)
		return;
	if (write_cgroup(node, "cgroup.freeze", on ? "1" : "0") || (on && await_frozen(node))) {
		int number = errno;

		write_cgroup(node, "cgroup.freeze", "0");
		send_error(request, number, "cgroup.freeze");
		return;
	}
	node->frozen = on;
	send_ok(request, "", 0);
}

/* Whether a node uses more memory than a limit, which is a number or "max". */
static bool uses_more(const struct node *node, const char *limit)
{
	int fd = openat(node->cgroup, "memory.current", O_RDONLY | O_CLOEXEC);
	char text[32];
	ssize_t size = fd < 0 ? 0 : read(fd, text, sizeof(text) - 1);

	if (fd >= 0)
		close(fd);
	text[size > 0 ? size : 0] = 0;
	return strcmp(limit, "max") && strtoull(text, NULL, 10) > strtoull(limit, NULL, 10);
}

/*
 * A limit below what is in use makes the kernel kill somebody and try again
 * until that memory is free, without ever sleeping. Time stands still meanwhile,
 * so the one who is killed gets the processor only if waking it is reason enough
 * to take it from us: from an idle-priority task it is. Programs that compute
 * for ever then delay us, but only then.
 */
static int write_limit(const struct node *node, const char *limit)
{
	struct sched_param none = { 0 };
	int result, number;

	if (!uses_more(node, limit))
		return write_cgroup(node, "memory.max", limit);
	if (sched_setscheduler(0, SCHED_IDLE, &none))
		return -1;
	sched_yield();	/* who is ready already goes first: it could not be woken */
	result = write_cgroup(node, "memory.max", limit);
	number = errno;
	if (sched_setscheduler(0, SCHED_OTHER, &none))
		die("setting the scheduler");
	errno = number;
	return result;
}

void limit_memory(const struct header *request, struct reader *reader)
{
	struct node *node = find_grouped(request);
	char *limit = take_string(reader);

	if (!node)
		return;
	if (reader->bad || write_limit(node, limit))
		send_error(request, reader->bad ? EINVAL : errno, "memory.max");
	else
		send_ok(request, "", 0);
}

void kill_all(const struct header *request)
{
	struct node *node = find_grouped(request);

	if (!node)
		return;
	if (write_cgroup(node, "rest/cgroup.kill", "1"))
		send_error(request, errno, "cgroup.kill");
	else
		send_ok(request, "", 0);
}
