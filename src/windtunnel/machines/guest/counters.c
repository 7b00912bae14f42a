// SPDX-License-Identifier: Apache-2.0
/*
 * What interfaces and processes of all nodes have used, as /proc counts it.
 *
 * Nobody is forked and nothing is entered: /proc shows each node's network and
 * processes from outside. wire/counters.py describes the lines.
 */
#include "agent.h"

static char lines[CHUNK];
static size_t filled;

static void flush(const struct header *request)
{
	if (filled)
		send_frame(OUTPUT, request->node, request->number, lines, filled);
	filled = 0;
}

__attribute__((format(printf, 2, 3)))
static void say(const struct header *request, const char *format, ...)
{
	char line[256];
	va_list arguments;
	int size;

	va_start(arguments, format);
	size = vsnprintf(line, sizeof(line), format, arguments);
	va_end(arguments);
	if (size < 0 || (size_t)size >= sizeof(line))
		return;
	if (filled + size > sizeof(lines))
		flush(request);
	memcpy(lines + filled, line, size);
	filled += size;
}

/*
 * Read a whole small file; the buffer ends in a zero byte. What has one record
 * comes with one read, a list page by page.
 */
static bool read_text(int directory, const char *path, bool list, char *text, size_t size)
{
	int fd = openat(directory, path, O_RDONLY | O_CLOEXEC);
	size_t at = 0;
	ssize_t done;

	if (fd < 0)
		return false;
	do {
		done = read(fd, text + at, size - 1 - at);
		at += done > 0 ? done : 0;
	} while (list && done > 0 && at < size - 1);
	text[at] = 0;
	close(fd);
	return at > 0;
}

static void say_interfaces(const struct header *request, const struct node *node)
{
	static char text[CHUNK];
	char path[64], *line, *rest = text;

	snprintf(path, sizeof(path), "/proc/%d/net/dev", node->pid);
	if (!read_text(AT_FDCWD, path, true, text, sizeof(text)))
		return;
	while ((line = strsep(&rest, "\n"))) {
		unsigned long long rx[4], tx[4];
		char *colon = strchr(line, ':');

		if (!colon || sscanf(colon + 1, "%llu %llu %llu %llu %*u %*u %*u %*u %llu %llu %llu %llu",
				     &rx[0], &rx[1], &rx[2], &rx[3],
				     &tx[0], &tx[1], &tx[2], &tx[3]) != 8)
			continue;
		*colon = 0;
		say(request, "i %llu %llu %llu %llu %llu %llu %llu %llu %s\n", rx[0], rx[1], rx[2],
		    rx[3], tx[0], tx[1], tx[2], tx[3], line + strspn(line, " "));
	}
}

static unsigned long long number_behind(const char *text, const char *name)
{
	const char *at = strstr(text, name);

	return at ? strtoull(at + strlen(name), NULL, 10) : 0;
}

static void say_process(const struct header *request, long pid)
{
	unsigned long long user, system;
	char path[64], text[4096], name[64], *end;
	long rss;

	snprintf(path, sizeof(path), "/proc/%ld/stat", pid);
	if (!read_text(AT_FDCWD, path, false, text, sizeof(text)))
		return;		/* it has ended meanwhile */
	end = strrchr(text, ')');	/* a name may hold anything */
	if (!end || !strchr(text, '(') || end - strchr(text, '(') > (long)sizeof(name))
		return;
	*end = 0;
	snprintf(name, sizeof(name), "%s", strchr(text, '(') + 1);
	if (sscanf(end + 1, " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %llu %llu "
		   "%*d %*d %*d %*d %*d %*d %*u %*u %ld", &user, &system, &rss) != 3)
		return;
	snprintf(path, sizeof(path), "/proc/%ld/status", pid);
	if (!read_text(AT_FDCWD, path, false, text, sizeof(text)))
		return;
	for (end = name; *end; end++)
		if (*end == '\n')
			*end = ' ';
	say(request, "p %ld %llu %llu %ld %llu %llu %s\n", pid, user, system, rss,
	    number_behind(text, "\nvoluntary_ctxt_switches:"),
	    number_behind(text, "\nnonvoluntary_ctxt_switches:"), name);
}

/* All in its cgroup; where there is none, what we have started in it. */
static void say_processes(const struct header *request, const struct node *node, uint16_t number)
{
	static char pids[CHUNK];
	struct process *process;
	char *line, *rest = pids;

	if (node->cgroup < 0) {
		for (process = processes; process; process = process->next)
			if (process->node == number && process->pid)
				say_process(request, process->pid);
	} else if (read_text(node->cgroup, "rest/cgroup.procs", true, pids, sizeof(pids))) {
		while ((line = strsep(&rest, "\n")))
			if (*line)
				say_process(request, atol(line));
	}
}

void tell_counters(const struct header *request)
{
	struct node *node;
	uint32_t number;

	for (number = 1; number <= UINT16_MAX; number++) {
		node = find_node(number);
		if (!node) {
			if (number >= count_nodes())
				break;
			continue;
		}
		if (node->off)
			continue;
		say(request, "n %u\n", number);
		say_interfaces(request, node);
		say_processes(request, node, number);
	}
	flush(request);
	send_ok(request, "", 0);
}
