// SPDX-License-Identifier: Apache-2.0
/*
 * A cgroup for each node that can fail, so that all of its processes can be met at once.
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

/* Be in the part of a node's first process, whom no lack of memory may kill. */
int join_first(int cgroup)
{
	return write_in(cgroup, "first/cgroup.procs", "0") ||
	       write_in(AT_FDCWD, "/proc/self/oom_score_adj", "-1000");
}

int write_cgroup(const struct node *node, const char *name, const char *value)
{
	if (node->cgroup < 0) {
		errno = ENOSYS;
		return -1;
	}
	return write_in(node->cgroup, name, value);
}

struct node *find_grouped(const struct header *request)
{
	struct node *node = find_node(request->node);

	if (!node || !node->fails) {
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
