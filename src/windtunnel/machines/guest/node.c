// SPDX-License-Identifier: Apache-2.0
/* Nodes: namespaces, and the first process in them. */
#include "agent.h"

static struct node *nodes;
static size_t node_count;

struct node *find_node(uint16_t number)
{
	return number < node_count && nodes[number].exists ? &nodes[number] : NULL;
}

/* All numbers of nodes are below it. */
size_t count_nodes(void)
{
	return node_count;
}

/*
 * Refuse what a node cannot do now: nothing without power, and while it is
 * frozen nothing can be started, since a frozen child would never get to exec.
 */
bool is_away(const struct header *request)
{
	struct node *node = find_node(request->node);
	bool off = node && node->off, spawns = request->kind == SPAWN;

	if (!(off && (spawns || request->kind == WRITE_FILE || request->kind == READ_FILE ||
		      request->kind == SYSCTL || request->kind == FREEZE ||
		      request->kind == KILL_ALL || request->kind == HAND_OVER)) &&
	    !(node && node->frozen && spawns))
		return false;
	send_error(request, EHOSTDOWN, "the node is %s", off ? "off" : "paused");
	return true;
}

static void reap_for_ever(void)
{
	sigset_t all;
	int status;

	sigfillset(&all);
	sigprocmask(SIG_BLOCK, &all, NULL);
	for (;;) {
		int signal_number;

		while (waitpid(-1, &status, WNOHANG) > 0)
			;
		sigwait(&all, &signal_number);
	}
}

/* The first process of a node. */
static int node_main(void *argument)
{
	struct node_start *start = argument;
	int result = 0;

	if ((start->cgroup >= 0 && join_first(start->cgroup)) ||
	    mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
	    make_root(start))
		result = errno;
	if (!result && (start->namespaces & CLONE_NEWUTS) &&
	    sethostname(start->name, strlen(start->name)))
		result = errno;
	write(start->report, &result, sizeof(result));
	if (result)
		_exit(1);
	syscall(SYS_close_range, 0, ~0u, 0);
	reap_for_ever();
	return 0;
}

static uint32_t pid_namespace_of(pid_t pid)
{
	char path[64];
	struct stat info;

	snprintf(path, sizeof(path), "/proc/%d/ns/pid", pid);
	return stat(path, &info) ? 0 : (uint32_t)info.st_ino;
}

static int grow_nodes(uint16_t number)
{
	size_t wanted = number + 1u;
	struct node *grown;

	if (wanted <= node_count)
		return 0;
	wanted = wanted * 2;
	grown = realloc(nodes, wanted * sizeof(*nodes));
	if (!grown)
		return -1;
	memset(grown + node_count, 0, (wanted - node_count) * sizeof(*nodes));
	nodes = grown;
	node_count = wanted;
	return 0;
}

void add_node(const struct header *request, struct reader *reader)
{
	struct node_start start = { .number = request->node };
	struct node *before = find_node(request->node);
	struct node node = { .exists = true, .network = -1, .cgroup = -1, .members = -1 };
	uint32_t report[2], i;
	int pipes[2], result = EIO;
	char path[64];

	node.namespaces = start.namespaces = take_u32(reader);
	node.fails = take_u32(reader);
	start.place_count = take_u32(reader);
	start.name = take_string(reader);
	start.host_root = take_string(reader);
	start.places = reader->at;
	for (i = 0; i < start.place_count && !reader->bad; i++)
		take_string(reader);
	if (reader->bad || (before && !before->off) || grow_nodes(request->node)) {
		send_error(request, EINVAL, "node %u: bad request", request->node);
		return;
	}
	if (before)	/* it is powered on again */
		node = *before;
	else if (node.fails)
		make_cgroup(&node, request->node);
	node.off = false;
	start.cgroup = node.cgroup;
	if (pipe2(pipes, O_CLOEXEC))
		die("pipe");
	start.report = pipes[1];
	/* fork(2) with namespaces; no new stack is needed */
	node.pid = syscall(SYS_clone, start.namespaces | SIGCHLD, NULL, NULL, NULL, NULL);
	if (node.pid == 0)
		_exit(node_main(&start));
	close(pipes[1]);
	if (node.pid < 0) {
		result = errno;
	} else if (read(pipes[0], &result, sizeof(result)) != sizeof(result)) {
		result = EIO;
	}
	close(pipes[0]);
	if (result) {
		send_error(request, result, "setting up node %s: %s", start.name, strerror(result));
		return;
	}
	snprintf(path, sizeof(path), "/proc/%d/root", node.pid);
	node.root = open(path, O_PATH | O_CLOEXEC);
	node.pidfd = syscall(SYS_pidfd_open, node.pid, 0);
	if (node.root < 0 || node.pidfd < 0)
		die("opening a node");
	nodes[request->node] = node;
	report[0] = node.pid;
	report[1] = pid_namespace_of(node.pid);
	send_ok(request, report, sizeof(report));
}
