// SPDX-License-Identifier: Apache-2.0
/*
 * The agent inside a guest: its first process.
 *
 * It serves one byte stream (/dev/vport0p0) of frames; wire/agent.py describes
 * them. It makes nodes (namespaces over an overlay of the host's root), starts
 * processes in them, carries their input and output, and reaps what dies.
 * Single threaded, no clock, no randomness, nothing that the host decides:
 * what it does follows from the frames alone.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/netlink.h>
#include <linux/openat2.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#define PAYLOAD_MAX (1u << 20)	/* wire/agent.py: PAYLOAD_MAX_BYTES */
#define CHUNK 32768		/* what a port takes at once (virtio_console.c) */
#define SKELETON "/nodes/skeleton"
#define SEARCH_PATH "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

enum kind {
	NODE_ADD = 1, SPAWN, INPUT, INPUT_END, SIGNAL, WRITE_FILE, READ_FILE,
	SYSCTL, RESIZE, POWER_OFF, NETLINK,
	READY = 64, OK, ERROR, OUTPUT, ERROR_OUTPUT, EXIT,
};

enum spawn_flag { SPAWN_INPUT = 1, SPAWN_TERMINAL = 2 };

struct header {
	uint32_t size;
	uint16_t kind;
	uint16_t node;
	uint32_t number;
};

struct node {
	bool exists;
	uint32_t namespaces;	/* clone(2) flags */
	pid_t pid;		/* its first process, in our pid namespace */
	int pidfd;
	int root;		/* O_PATH of its root directory */
};

/* A process that we were told to start. Kept after its end while some
 * descendant still holds its output. */
struct process {
	struct process *next;
	uint32_t number;
	uint16_t node;
	pid_t pid;		/* 0 once reaped */
	int input;		/* -1: none */
	int output[2];		/* stdout and stderr; -1: closed */
	char *pending;		/* input that its pipe has no room for yet */
	size_t pending_size;
	bool input_ends;
	bool terminal;
};

/* What epoll gives back: which end of which process. */
struct source {
	enum { PORT, CHILDREN, PIPE, FEED } what;
	int index;
	struct process *process;
};

static int port = -1;
static int poller = -1;
static int own_pid_ns = -1, own_net_ns = -1, own_uts_ns = -1, own_ipc_ns = -1;
static struct node *nodes;
static size_t node_count;
static struct process *processes;

/* ---- frames ---- */

static void die(const char *what)
{
	/* Our end is the kernel's panic: its console says why. */
	fprintf(stderr, "agent: %s: %s\n", what, strerror(errno));
	_exit(1);
}

static void write_all(int fd, const void *data, size_t size)
{
	const char *at = data;

	while (size) {
		ssize_t done = write(fd, at, size < CHUNK ? size : CHUNK);

		if (done < 0) {
			if (errno == EINTR)
				continue;
			die("writing to the port");
		}
		at += done;
		size -= done;
	}
}

static void send_frame(enum kind kind, uint16_t node, uint32_t number,
		       const void *payload, uint32_t size)
{
	static char buffer[sizeof(struct header) + CHUNK];
	struct header header = { size, kind, node, number };

	memcpy(buffer, &header, sizeof(header));
	if (size <= CHUNK) {
		/* one write, one kick of the host */
		memcpy(buffer + sizeof(header), payload, size);
		write_all(port, buffer, sizeof(header) + size);
		return;
	}
	write_all(port, buffer, sizeof(header));
	write_all(port, payload, size);
}

static void send_ok(const struct header *request, const void *payload, uint32_t size)
{
	send_frame(OK, request->node, request->number, payload, size);
}

__attribute__((format(printf, 3, 4)))
static void send_error(const struct header *request, int number, const char *format, ...)
{
	char text[4 + 1024];
	uint32_t code = number;
	va_list arguments;
	int size;

	memcpy(text, &code, sizeof(code));
	va_start(arguments, format);
	size = vsnprintf(text + 4, sizeof(text) - 4, format, arguments);
	va_end(arguments);
	if (size > (int)sizeof(text) - 5)
		size = sizeof(text) - 5;
	send_frame(ERROR, request->node, request->number, text, 4 + size);
}

/* Reads the parts of a payload; `bad` once it was too short. */
struct reader {
	const char *at, *end;
	bool bad;
};

static uint32_t take_u32(struct reader *reader)
{
	uint32_t value = 0;

	if (reader->end - reader->at < 4) {
		reader->bad = true;
		return 0;
	}
	memcpy(&value, reader->at, 4);
	reader->at += 4;
	return value;
}

static char *take_string(struct reader *reader)
{
	const char *start = reader->at;
	const char *zero = memchr(start, 0, reader->end - start);

	if (!zero) {
		reader->bad = true;
		return "";
	}
	reader->at = zero + 1;
	return (char *)start;
}

/* ---- nodes ---- */

static struct node *find_node(uint16_t number)
{
	return number < node_count && nodes[number].exists ? &nodes[number] : NULL;
}

static int mount_at(const char *type, const char *path, unsigned long flags,
		    const char *options)
{
	if (mkdir(path, 0755) && errno != EEXIST)
		return -1;
	return mount(type, path, type, flags, options);
}

static int make_devices(const char *root)
{
	static const struct { const char *name; int major, minor; } devices[] = {
		{ "null", 1, 3 }, { "zero", 1, 5 }, { "full", 1, 7 },
		{ "random", 1, 8 }, { "urandom", 1, 9 }, { "tty", 5, 0 },
		{ "kmsg", 1, 11 }, { "net/tun", 10, 200 },
	};
	static const struct { const char *target, *name; } links[] = {
		{ "/proc/self/fd", "fd" }, { "/proc/self/fd/0", "stdin" },
		{ "/proc/self/fd/1", "stdout" }, { "/proc/self/fd/2", "stderr" },
		{ "pts/ptmx", "ptmx" },
	};
	char path[256];
	size_t i;

	snprintf(path, sizeof(path), "%s/dev", root);
	if (mount_at("tmpfs", path, MS_NOSUID, "mode=755"))
		return -1;
	snprintf(path, sizeof(path), "%s/dev/net", root);
	mkdir(path, 0755);
	for (i = 0; i < sizeof(devices) / sizeof(*devices); i++) {
		snprintf(path, sizeof(path), "%s/dev/%s", root, devices[i].name);
		if (mknod(path, S_IFCHR | 0666,
			  makedev(devices[i].major, devices[i].minor)))
			return -1;
	}
	for (i = 0; i < sizeof(links) / sizeof(*links); i++) {
		snprintf(path, sizeof(path), "%s/dev/%s", root, links[i].name);
		if (symlink(links[i].target, path))
			return -1;
	}
	snprintf(path, sizeof(path), "%s/dev/pts", root);
	if (mount_at("devpts", path, MS_NOSUID | MS_NOEXEC, "newinstance,ptmxmode=0666,mode=620,gid=5"))
		return -1;
	snprintf(path, sizeof(path), "%s/dev/shm", root);
	return mount_at("tmpfs", path, MS_NOSUID | MS_NODEV, "mode=1777");
}

/* mkdir -p below `root`, which stands in front of `path` */
static void make_path(char *path, size_t root_length)
{
	char *slash;

	for (slash = path + root_length + 1; (slash = strchr(slash, '/')); slash++) {
		*slash = 0;
		mkdir(path, 0755);
		*slash = '/';
	}
	mkdir(path, 0755);
}

static bool is_hidden(const char *path)
{
	static const char *const hidden[] = { "/tmp", "/run", "/var/tmp", "/root", "/home" };
	size_t i;

	for (i = 0; i < sizeof(hidden) / sizeof(*hidden); i++) {
		size_t length = strlen(hidden[i]);

		if (!strncmp(path, hidden[i], length) && (!path[length] || path[length] == '/'))
			return true;
	}
	return false;
}

/*
 * Show a directory of the host at its own place: 'r' under a private layer,
 * where something hides it, and 'w' itself, so that writing reaches the host.
 */
static int show(const char *base, const char *root, const char *what, unsigned int number)
{
	const char *path = what + 1;
	char target[4096], options[8192], layer[128];
	bool writable = *what == 'w';

	if (!writable && !is_hidden(path))
		return 0;
	if (snprintf(target, sizeof(target), "%s%s", root, path) >= (int)sizeof(target)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	make_path(target, strlen(root));
	if (writable)
		/* a mount of its own: the host's tree itself is mounted read-only */
		return mount("host", target, "hostfs", MS_NOSUID | MS_NODEV, path);
	snprintf(layer, sizeof(layer), "%s/shown%u", base, number);
	mkdir(layer, 0755);
	snprintf(layer, sizeof(layer), "%s/shown%u/upper", base, number);
	mkdir(layer, 0755);
	snprintf(layer, sizeof(layer), "%s/shown%u/work", base, number);
	mkdir(layer, 0755);
	if (snprintf(options, sizeof(options),
		     "lowerdir=/host%s,upperdir=%s/shown%u/upper,workdir=%s/shown%u/work",
		     path, base, number, base, number) >= (int)sizeof(options)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	return mount("overlay", target, "overlay", 0, options);
}

/* What a whole system has and a node does not need; what is missing is no loss. */
static void mount_system_extras(const char *root)
{
	static const struct { const char *type, *path; } extras[] = {
		{ "cgroup2", "sys/fs/cgroup" }, { "debugfs", "sys/kernel/debug" },
		{ "tracefs", "sys/kernel/tracing" }, { "mqueue", "dev/mqueue" },
		{ "bpf", "sys/fs/bpf" },
	};
	char path[256];
	size_t i;

	for (i = 0; i < sizeof(extras) / sizeof(*extras); i++) {
		snprintf(path, sizeof(path), "%s/%s", root, extras[i].path);
		mount_at(extras[i].type, path, MS_NOSUID | MS_NODEV, "");
	}
}

struct node_start {
	uint16_t number;
	uint32_t namespaces;
	uint32_t place_count;
	const char *name, *host_root, *places;
	int report;
};

/*
 * The top of the host's tree may not be listed, since that would let all of it
 * be listed. We are told what lies there and make a layer of empty directories
 * and links like those; what is in them comes from the host's layer below.
 */
static int make_skeleton(const struct node_start *start)
{
	const char *place = start->places;
	char host[300], own[300], link[256];
	struct stat info;
	uint32_t i;

	for (i = 0; i < start->place_count; i++, place += strlen(place) + 1) {
		if (*place != 'd')
			continue;
		snprintf(host, sizeof(host), "/host/%s", place + 1);
		snprintf(own, sizeof(own), SKELETON "/%s", place + 1);
		if ((mkdir(SKELETON, 0755) && errno != EEXIST) || lstat(host, &info))
			return -1;
		if (S_ISLNK(info.st_mode)) {
			ssize_t size = readlink(host, link, sizeof(link) - 1);

			link[size > 0 ? size : 0] = 0;
			if (size < 0 || symlink(link, own))
				return -1;
		} else if (S_ISDIR(info.st_mode) &&
			   (mkdir(own, 0700) || chown(own, info.st_uid, info.st_gid) ||
			    chmod(own, info.st_mode & 07777))) {
			return -1;
		}
	}
	return 0;
}

/*
 * Mount each layer as a file system of its own, since an overlay refuses layers
 * of which one contains the other; `layers` gets them for "lowerdir=".
 */
static int mount_layers(const struct node_start *start, const char *base, char *layers,
			size_t size)
{
	const char *place = start->places;
	size_t used = 0;
	char path[128];
	uint32_t i;

	for (i = 0; i < start->place_count; i++, place += strlen(place) + 1) {
		if (*place != 'l')
			continue;
		snprintf(path, sizeof(path), "%s/layer%u", base, i);
		if (mkdir(path, 0755) || mount("host", path, "hostfs", MS_RDONLY, place + 1))
			return -1;
		used += snprintf(layers + used, size - used, "%s:", path);
		if (used >= size) {
			errno = E2BIG;
			return -1;
		}
	}
	if (!strcmp(start->host_root, "/") && !access(SKELETON, F_OK))
		snprintf(layers + used, size - used, SKELETON ":");
	return 0;
}

/*
 * The node's root: a private writable layer over the host's tree. What is the
 * user's own, or the host's present state, is hidden behind empty directories.
 */
static int make_root(const struct node_start *start)
{
	static const struct { const char *path, *options; } empty[] = {
		{ "tmp", "mode=1777" }, { "run", "mode=755" }, { "var/tmp", "mode=1777" },
		{ "root", "mode=755" }, { "home", "mode=755" },
	};
	const char *host_root = start->host_root, *place = start->places;
	char base[64], root[80], path[256], layers[1024] = "", options[2048];
	size_t i;

	snprintf(base, sizeof(base), "/nodes/%u", start->number);
	mkdir(base, 0755);
	snprintf(path, sizeof(path), "%s/upper", base);
	mkdir(path, 0755);
	snprintf(path, sizeof(path), "%s/work", base);
	mkdir(path, 0755);
	snprintf(root, sizeof(root), "%s/root", base);
	mkdir(root, 0755);
	if (make_skeleton(start) || mount_layers(start, base, layers, sizeof(layers)) ||
	    snprintf(options, sizeof(options),
		     "lowerdir=%s/host%s,upperdir=%s/upper,workdir=%s/work", layers,
		     strcmp(host_root, "/") ? host_root : "", base, base) >= (int)sizeof(options))
		return -1;
	if (mount("overlay", root, "overlay", 0, options))
		return -1;
	snprintf(path, sizeof(path), "%s/proc", root);
	if (mount_at("proc", path, MS_NOSUID | MS_NODEV | MS_NOEXEC, ""))
		return -1;
	snprintf(path, sizeof(path), "%s/sys", root);
	if (mount_at("sysfs", path, MS_NOSUID | MS_NODEV | MS_NOEXEC, ""))
		return -1;
	if (make_devices(root))
		return -1;
	for (i = 0; i < sizeof(empty) / sizeof(*empty); i++) {
		snprintf(path, sizeof(path), "%s/%s", root, empty[i].path);
		if (mount_at("tmpfs", path, MS_NOSUID | MS_NODEV, empty[i].options) &&
		    errno != ENOENT)
			return -1;
	}
	if (!(start->namespaces & CLONE_NEWNET))
		mount_system_extras(root);
	for (i = 0; i < start->place_count; i++, place += strlen(place) + 1)
		if ((*place == 'r' || *place == 'w') && show(base, root, place, i))
			return -1;
	if (chdir(root) || mount(".", "/", NULL, MS_MOVE, NULL) || chroot(".") || chdir("/"))
		return -1;
	return 0;
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

	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
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

static void add_node(const struct header *request, struct reader *reader)
{
	struct node_start start = { .number = request->node };
	struct node node = { .exists = true };
	uint32_t report[2], i;
	int pipes[2], result = EIO;
	char path[64];

	node.namespaces = start.namespaces = take_u32(reader);
	start.place_count = take_u32(reader);
	start.name = take_string(reader);
	start.host_root = take_string(reader);
	start.places = reader->at;
	for (i = 0; i < start.place_count && !reader->bad; i++)
		take_string(reader);
	if (reader->bad || grow_nodes(request->node) || find_node(request->node)) {
		send_error(request, EINVAL, "node %u: bad request", request->node);
		return;
	}
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

/* ---- processes ---- */

static void watch(int fd, uint32_t events, int what, int index, struct process *process)
{
	struct source *source = malloc(sizeof(*source));
	struct epoll_event event = { .events = events };

	if (!source)
		die("memory");
	source->what = what;
	source->index = index;
	source->process = process;
	event.data.ptr = source;
	if (epoll_ctl(poller, EPOLL_CTL_ADD, fd, &event))
		die("epoll_ctl");
}

static struct process *find_process(uint32_t number)
{
	struct process *process;

	for (process = processes; process; process = process->next)
		if (process->number == number)
			return process;
	return NULL;
}

static void close_output(struct process *process, int index)
{
	if (process->output[index] < 0)
		return;
	epoll_ctl(poller, EPOLL_CTL_DEL, process->output[index], NULL);
	close(process->output[index]);
	process->output[index] = -1;
}

static void close_input(struct process *process)
{
	/* a terminal's input is its output's descriptor, closed there */
	if (process->input >= 0 && !process->terminal)
		close(process->input);
	process->input = -1;
	free(process->pending);
	process->pending = NULL;
	process->pending_size = 0;
}

/* Forget a process once it is reaped and nobody holds its output any more. */
static void maybe_forget(struct process *process)
{
	struct process **link;

	if (process->pid || process->output[0] >= 0 || process->output[1] >= 0)
		return;
	close_input(process);
	for (link = &processes; *link; link = &(*link)->next)
		if (*link == process) {
			*link = process->next;
			break;
		}
	free(process);
}

/* Pass on what is there; true when the other side has closed. */
static bool carry_output(struct process *process, int index)
{
	static char buffer[CHUNK];

	while (process->output[index] >= 0) {
		ssize_t size = read(process->output[index], buffer, sizeof(buffer));

		if (size > 0) {
			send_frame(index ? ERROR_OUTPUT : OUTPUT, process->node,
				   process->number, buffer, size);
			continue;
		}
		if (size < 0 && errno == EINTR)
			continue;
		if (size < 0 && errno == EAGAIN)
			return false;
		return true;	/* end of file, or EIO of a terminal */
	}
	return false;
}

struct spawn_plan {
	uint32_t flags, cost;
	char *directory, **argv, **envp;
	int input[2], output[2], errors[2], master;
	char terminal[64];
};

static void close_pair(int pair[2])
{
	if (pair[0] >= 0)
		close(pair[0]);
	if (pair[1] >= 0)
		close(pair[1]);
}

static int open_terminal(struct spawn_plan *plan, struct node *node)
{
	struct open_how how = { .flags = O_RDWR | O_NOCTTY | O_CLOEXEC,
				.resolve = RESOLVE_IN_ROOT };
	unsigned int number, unlock = 0;

	plan->master = syscall(SYS_openat2, node->root, "dev/pts/ptmx", &how, sizeof(how));
	if (plan->master < 0 || ioctl(plan->master, TIOCSPTLCK, &unlock) ||
	    ioctl(plan->master, TIOCGPTN, &number))
		return -1;
	snprintf(plan->terminal, sizeof(plan->terminal), "/dev/pts/%u", number);
	return 0;
}

/* In the child, which shares our memory until it execs: where it failed. */
static const char *volatile child_step;
static volatile int child_errno;

static void child_fail(const char *step)
{
	child_errno = errno;
	child_step = step;
	_exit(127);
}

static void child_main(struct node *node, struct spawn_plan *plan)
{
	uint32_t join = node->namespaces & ~CLONE_NEWPID;
	sigset_t none;
	int signal_number;

	setsid();
	for (signal_number = 1; signal_number < NSIG; signal_number++)
		signal(signal_number, SIG_DFL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	if (plan->cost) {
		char text[16];
		int fd = open("/proc/sys/um/syscall_cost_ns", O_WRONLY | O_CLOEXEC);

		snprintf(text, sizeof(text), "%u", plan->cost);
		if (fd < 0 || write(fd, text, strlen(text)) < 0)
			child_fail("setting the syscall cost");
		close(fd);
	}
	if (setns(node->pidfd, join))
		child_fail("joining the node");
	if (plan->flags & SPAWN_TERMINAL) {
		int fd = open(plan->terminal, O_RDWR);

		if (fd < 0 || ioctl(fd, TIOCSCTTY, 0))
			child_fail("opening the terminal");
		dup2(fd, 0);
		dup2(fd, 1);
		dup2(fd, 2);
		if (fd > 2)
			close(fd);
	} else {
		int fd = plan->input[0] >= 0 ? plan->input[0] : open("/dev/null", O_RDONLY);

		if (dup2(fd, 0) < 0 || dup2(plan->output[1], 1) < 0 ||
		    dup2(plan->errors[1], 2) < 0)
			child_fail("connecting its output");
		if (plan->input[0] < 0)
			close(fd);
	}
	if (chdir(plan->directory))
		child_fail(plan->directory);
	execvpe(plan->argv[0], plan->argv, plan->envp);
	child_fail(plan->argv[0]);
}

/*
 * A timer of Linux may be late by the slack of its task: 50 us, and a thousandth
 * of what poll() waits. Real-time tasks have none, and a child gets its parent's
 * as its own default: so be real-time, and only ourselves, while starting one.
 */
static void set_real_time(bool on)
{
	struct sched_param priority = { .sched_priority = on };

	if (sched_setscheduler(0, on ? SCHED_FIFO | SCHED_RESET_ON_FORK : SCHED_OTHER, &priority))
		die("setting the scheduler");
}

static pid_t start_child(struct node *node, struct spawn_plan *plan)
{
	pid_t pid;

	child_step = NULL;
	/* children are born into the node's pid namespace; we stay in ours */
	if ((node->namespaces & CLONE_NEWPID) && setns(node->pidfd, CLONE_NEWPID)) {
		child_errno = errno;
		child_step = "entering the node";
		return -1;
	}
	set_real_time(true);
	pid = vfork();
	if (pid == 0)
		child_main(node, plan);
	set_real_time(false);
	if (pid < 0) {
		child_errno = errno;
		child_step = "vfork";
	}
	if ((node->namespaces & CLONE_NEWPID) && setns(own_pid_ns, CLONE_NEWPID))
		die("leaving a node");
	return pid;
}

static bool take_words(struct reader *reader, char ***words, uint32_t count)
{
	uint32_t i;

	*words = calloc(count + 1, sizeof(char *));
	if (!*words)
		die("memory");
	for (i = 0; i < count && !reader->bad; i++)
		(*words)[i] = take_string(reader);
	return !reader->bad;
}

static void adopt(struct spawn_plan *plan, const struct header *request, pid_t pid)
{
	struct process *process = calloc(1, sizeof(*process));

	if (!process)
		die("memory");
	process->number = request->number;
	process->node = request->node;
	process->pid = pid;
	process->terminal = plan->flags & SPAWN_TERMINAL;
	process->input = process->terminal ? plan->master : plan->input[1];
	process->output[0] = process->terminal ? plan->master : plan->output[0];
	process->output[1] = process->terminal ? -1 : plan->errors[0];
	process->next = processes;
	processes = process;
	fcntl(process->output[0], F_SETFL, O_NONBLOCK);
	watch(process->output[0], EPOLLIN, PIPE, 0, process);
	if (process->output[1] >= 0) {
		fcntl(process->output[1], F_SETFL, O_NONBLOCK);
		watch(process->output[1], EPOLLIN, PIPE, 1, process);
	}
	if (process->input >= 0 && !process->terminal)
		fcntl(process->input, F_SETFL, O_NONBLOCK);
}

static void spawn(const struct header *request, struct reader *reader)
{
	struct spawn_plan plan = { .input = { -1, -1 }, .output = { -1, -1 },
				   .errors = { -1, -1 }, .master = -1 };
	struct node *node = find_node(request->node);
	uint32_t argc, envc, report;
	pid_t pid = -1;

	plan.flags = take_u32(reader);
	plan.cost = take_u32(reader);
	argc = take_u32(reader);
	envc = take_u32(reader);
	plan.directory = take_string(reader);
	if (!node || !argc || argc > PAYLOAD_MAX || envc > PAYLOAD_MAX ||
	    !take_words(reader, &plan.argv, argc) || !take_words(reader, &plan.envp, envc)) {
		send_error(request, EINVAL, "bad request to start a process");
		goto out;
	}
	if (plan.flags & SPAWN_TERMINAL ? open_terminal(&plan, node) :
	    (pipe2(plan.output, O_CLOEXEC) || pipe2(plan.errors, O_CLOEXEC) ||
	     (plan.flags & SPAWN_INPUT && pipe2(plan.input, O_CLOEXEC)))) {
		send_error(request, errno, "connecting %s", plan.argv[0]);
		close_pair(plan.output);
		close_pair(plan.errors);
		if (plan.master >= 0)
			close(plan.master);
		goto out;
	}
	pid = start_child(node, &plan);
	if (plan.input[0] >= 0)
		close(plan.input[0]);
	if (plan.output[1] >= 0)
		close(plan.output[1]);
	if (plan.errors[1] >= 0)
		close(plan.errors[1]);
	if (child_step) {
		if (pid > 0)
			waitpid(pid, NULL, 0);
		plan.input[0] = plan.output[1] = plan.errors[1] = -1;
		close_pair(plan.input);
		close_pair(plan.output);
		close_pair(plan.errors);
		if (plan.master >= 0)
			close(plan.master);
		send_error(request, child_errno, "%s", child_step);
		goto out;
	}
	adopt(&plan, request, pid);
	report = pid;
	send_ok(request, &report, sizeof(report));
out:
	free(plan.argv);
	free(plan.envp);
}

static void report_exit(struct process *process, int status, const struct rusage *usage)
{
	struct { uint32_t status; uint64_t user, system; } __attribute__((packed)) report;
	int index;

	for (index = 0; index < 2; index++)
		if (carry_output(process, index))
			close_output(process, index);
	report.status = status;
	report.user = usage->ru_utime.tv_sec * 1000000000ull + usage->ru_utime.tv_usec * 1000ull;
	report.system = usage->ru_stime.tv_sec * 1000000000ull + usage->ru_stime.tv_usec * 1000ull;
	send_frame(EXIT, process->node, process->number, &report, sizeof(report));
	process->pid = 0;
	maybe_forget(process);
}

static void reap(int signals)
{
	struct signalfd_siginfo info;
	struct process *process;
	struct rusage usage;
	int status;
	pid_t pid;

	while (read(signals, &info, sizeof(info)) > 0)
		;
	while ((pid = wait4(-1, &status, WNOHANG, &usage)) > 0)
		for (process = processes; process; process = process->next)
			if (process->pid == pid) {
				report_exit(process, status, &usage);
				break;
			}
}

/* Feed what a process' pipe takes now; epoll tells when it takes more. */
static void feed(struct process *process)
{
	bool was_waiting = process->pending_size > 0;

	while (process->pending_size && process->input >= 0) {
		ssize_t done = write(process->input, process->pending, process->pending_size);

		if (done < 0 && errno == EINTR)
			continue;
		if (done < 0 && errno == EAGAIN)
			break;
		if (done < 0) {		/* EPIPE: it does not want to know */
			close_input(process);
			return;
		}
		process->pending_size -= done;
		memmove(process->pending, process->pending + done, process->pending_size);
	}
	(void)was_waiting;
	if (!process->pending_size && process->input_ends)
		close_input(process);
}

static void take_input(struct process *process, struct reader *reader)
{
	size_t size = reader->end - reader->at;
	bool watched = process->pending_size > 0;
	char *grown;

	if (process->input < 0 || !size)
		return;
	grown = realloc(process->pending, process->pending_size + size);
	if (!grown)
		die("memory");
	memcpy(grown + process->pending_size, reader->at, size);
	process->pending = grown;
	process->pending_size += size;
	feed(process);
	if (process->pending_size && process->input >= 0 && !watched && !process->terminal)
		watch(process->input, EPOLLOUT, FEED, 0, process);
}

static void send_signal(struct process *process, uint32_t signal_number)
{
	if (process->pid && kill(-process->pid, signal_number))
		kill(process->pid, signal_number);	/* not yet its own group */
}

static void resize(struct process *process, struct reader *reader)
{
	struct winsize size = { 0 };

	size.ws_row = take_u32(reader);
	size.ws_col = take_u32(reader);
	if (process->terminal && !reader->bad && process->output[0] >= 0)
		ioctl(process->output[0], TIOCSWINSZ, &size);
}

/* ---- files ---- */

static int open_in(struct node *node, const char *path, int flags, int mode)
{
	struct open_how how = { .flags = flags | O_CLOEXEC,
				.mode = flags & O_CREAT ? mode : 0,
				.resolve = RESOLVE_IN_ROOT };

	return syscall(SYS_openat2, node->root, path, &how, sizeof(how));
}

static void make_parents(struct node *node, const char *path)
{
	char part[4096];
	size_t length = strlen(path), at;

	if (length >= sizeof(part))
		return;
	for (at = 1; at < length; at++) {
		int parent;
		char *name;

		if (path[at] != '/')
			continue;
		memcpy(part, path, at);
		part[at] = 0;
		name = strrchr(part, '/');
		if (!name || !name[1])
			continue;
		*name = 0;
		parent = open_in(node, *part ? part : "/", O_PATH | O_DIRECTORY, 0);
		if (parent >= 0) {
			mkdirat(parent, name + 1, 0755);
			close(parent);
		}
	}
}

/* The number behind `name` in the third field of a node's passwd or group file. */
static long look_up(struct node *node, const char *file, const char *name)
{
	char line[1024];
	size_t length = strlen(name);
	char *end;
	long number = strtol(name, &end, 10);
	int fd;
	FILE *stream;

	if (*name && !*end)
		return number;
	fd = open_in(node, file, O_RDONLY, 0);
	stream = fd < 0 ? NULL : fdopen(fd, "r");
	number = -1;
	while (stream && number < 0 && fgets(line, sizeof(line), stream))
		if (!strncmp(line, name, length) && line[length] == ':') {
			char *field = strchr(line + length + 1, ':');

			number = field ? atol(field + 1) : -1;
		}
	if (stream)
		fclose(stream);
	return number;
}

static int change_owner(struct node *node, int fd, char *owner)
{
	char *group = strchr(owner, ':');
	long uid, gid;

	if (!*owner)
		return 0;
	if (group)
		*group++ = 0;
	uid = look_up(node, "/etc/passwd", owner);
	gid = look_up(node, "/etc/group", group ? group : owner);
	if (uid < 0 || (gid < 0 && group)) {
		errno = ENOENT;
		return -1;
	}
	return fchown(fd, uid, gid < 0 ? 0 : gid);
}

static void write_file(const struct header *request, struct reader *reader)
{
	struct node *node = find_node(request->node);
	uint32_t mode = take_u32(reader), append = take_u32(reader);
	char *path = take_string(reader), *owner = take_string(reader);
	size_t size = reader->end - reader->at;
	const char *at = reader->at;
	/* not blocking: a fifo without a reader must not stop the agent */
	int fd, flags = O_WRONLY | O_CREAT | O_NONBLOCK | (append ? O_APPEND : O_TRUNC);

	if (!node || reader->bad) {
		send_error(request, EINVAL, "bad request to write a file");
		return;
	}
	fd = open_in(node, path, flags, mode);
	if (fd < 0 && errno == ENOENT) {
		make_parents(node, path);
		fd = open_in(node, path, flags, mode);
	}
	if (fd < 0) {
		send_error(request, errno, "opening %s", path);
		return;
	}
	while (size) {
		ssize_t done = write(fd, at, size);

		if (done < 0 && errno == EINTR)
			continue;
		if (done < 0) {
			send_error(request, errno, "writing %s", path);
			close(fd);
			return;
		}
		at += done;
		size -= done;
	}
	if (!append && fchmod(fd, mode))
		send_error(request, errno, "setting the mode of %s", path);
	else if (change_owner(node, fd, owner))
		send_error(request, errno, "the owner of %s: %s", path, owner);
	else
		send_ok(request, "", 0);
	close(fd);
}

static void read_file(const struct header *request, struct reader *reader)
{
	static char buffer[CHUNK];
	struct node *node = find_node(request->node);
	char *path = take_string(reader);
	ssize_t size;
	int fd;

	if (!node || reader->bad) {
		send_error(request, EINVAL, "bad request to read a file");
		return;
	}
	/* not blocking: a fifo without a writer must not stop the agent */
	fd = open_in(node, path, O_RDONLY | O_NONBLOCK, 0);
	if (fd < 0) {
		send_error(request, errno, "opening %s", path);
		return;
	}
	while ((size = read(fd, buffer, sizeof(buffer))) > 0)
		send_frame(OUTPUT, request->node, request->number, buffer, size);
	if (size < 0)
		send_error(request, errno, "reading %s", path);
	else
		send_ok(request, "", 0);
	close(fd);
}

static int write_sysctl(const char *name, const char *value)
{
	char path[512];
	int fd, result = 0;

	if (strstr(name, "..")) {
		errno = EINVAL;
		return -1;
	}
	snprintf(path, sizeof(path), "/proc/sys/%s", name);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return -1;
	if (write(fd, value, strlen(value)) < 0)
		result = -1;
	close(fd);
	return result;
}

static void set_sysctls(const struct header *request, struct reader *reader)
{
	struct node *node = find_node(request->node);
	const char *failed = NULL;
	int number = 0;
	uint32_t own;

	if (!node) {
		send_error(request, EINVAL, "no node %u", request->node);
		return;
	}
	/* a sysctl is looked up in the namespaces of whoever opens it */
	own = node->namespaces & (CLONE_NEWNET | CLONE_NEWUTS | CLONE_NEWIPC);
	if (own && setns(node->pidfd, own)) {
		send_error(request, errno, "entering node %u", request->node);
		return;
	}
	while (reader->at < reader->end && !failed) {
		char *name = take_string(reader), *value = take_string(reader);

		if (reader->bad || write_sysctl(name, value)) {
			number = errno;
			failed = name;
		}
	}
	if (own && (setns(own_net_ns, CLONE_NEWNET) || setns(own_uts_ns, CLONE_NEWUTS) ||
		    setns(own_ipc_ns, CLONE_NEWIPC)))
		die("leaving a node");
	if (failed)
		send_error(request, number, "%s", failed);
	else
		send_ok(request, "", 0);
}

/* ---- interfaces ---- */

/* A socket for the network of a node; it stays there when we are back. */
static int open_rtnetlink(const struct node *node)
{
	bool elsewhere = node->namespaces & CLONE_NEWNET;
	int fd, on = 1;

	if (elsewhere && setns(node->pidfd, CLONE_NEWNET))
		return -1;
	fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
	if (elsewhere && setns(own_net_ns, CLONE_NEWNET))
		die("leaving a node");
	if (fd >= 0) {
		/* acknowledgements with the kernel's words, and without our own */
		setsockopt(fd, SOL_NETLINK, NETLINK_EXT_ACK, &on, sizeof(on));
		setsockopt(fd, SOL_NETLINK, NETLINK_CAP_ACK, &on, sizeof(on));
	}
	return fd;
}

/*
 * Send one message and read its acknowledgement: 0 or an error number, and the
 * kernel's words about it where it has any.
 */
static int ask_kernel(int fd, const char *message, uint32_t size, char *words, size_t words_size)
{
	union { struct nlmsghdr header; char bytes[4096]; } answer;
	const struct nlmsgerr *error = NLMSG_DATA(&answer.header);
	const struct nlattr *attribute;
	ssize_t got;
	size_t at;

	*words = 0;
	if (send(fd, message, size, 0) < 0)
		return errno;
	/* it has been answered by now, or never will be */
	got = recv(fd, &answer, sizeof(answer), MSG_DONTWAIT);
	if (got < 0)
		return errno;
	if (got < (ssize_t)NLMSG_LENGTH(sizeof(*error)) || answer.header.nlmsg_type != NLMSG_ERROR)
		return EPROTO;
	for (at = NLMSG_LENGTH(sizeof(*error)); at + NLA_HDRLEN < (size_t)got;
	     at += NLA_ALIGN(attribute->nla_len)) {
		attribute = (const struct nlattr *)(answer.bytes + at);
		if (attribute->nla_len < NLA_HDRLEN || attribute->nla_len > got - at)
			break;
		if (attribute->nla_type == NLMSGERR_ATTR_MSG)
			snprintf(words, words_size, "%.*s", attribute->nla_len - NLA_HDRLEN,
				 answer.bytes + at + NLA_HDRLEN);
	}
	return -error->error;
}

static void configure_network(const struct header *request, struct reader *reader)
{
	struct node *node = find_node(request->node);
	uint32_t count = 0;
	char words[512];
	int fd, error = 0;

	if (!node) {
		send_error(request, EINVAL, "no node %u", request->node);
		return;
	}
	fd = open_rtnetlink(node);
	if (fd < 0) {
		send_error(request, errno, "entering the network of node %u", request->node);
		return;
	}
	for (; reader->at < reader->end; count++) {
		struct nlmsghdr header;
		size_t rest = reader->end - reader->at;

		if (rest >= sizeof(header))
			memcpy(&header, reader->at, sizeof(header));
		if (rest < sizeof(header) || header.nlmsg_len < sizeof(header) ||
		    header.nlmsg_len > rest) {
			error = EINVAL;
			strcpy(words, "not a message");
			break;
		}
		error = ask_kernel(fd, reader->at, header.nlmsg_len, words, sizeof(words));
		if (error)
			break;
		reader->at += NLMSG_ALIGN(header.nlmsg_len);
	}
	close(fd);
	if (error)
		send_error(request, error, "message %u: %s", count,
			   *words ? words : strerror(error));
	else
		send_ok(request, "", 0);
}

/* ---- the loop ---- */

static void handle(const struct header *request, char *payload)
{
	struct reader reader = { payload, payload + request->size, false };
	struct process *process = find_process(request->number);

	switch (request->kind) {
	case NODE_ADD:
		add_node(request, &reader);
		break;
	case SPAWN:
		spawn(request, &reader);
		break;
	case INPUT:
		if (process)
			take_input(process, &reader);
		break;
	case INPUT_END:
		if (process) {
			process->input_ends = true;
			feed(process);
		}
		break;
	case SIGNAL:
		if (process)
			send_signal(process, take_u32(&reader));
		break;
	case RESIZE:
		if (process)
			resize(process, &reader);
		break;
	case WRITE_FILE:
		write_file(request, &reader);
		break;
	case READ_FILE:
		read_file(request, &reader);
		break;
	case SYSCTL:
		set_sysctls(request, &reader);
		break;
	case NETLINK:
		configure_network(request, &reader);
		break;
	case POWER_OFF:
		sync();
		reboot(RB_POWER_OFF);
		break;
	default:
		send_error(request, ENOSYS, "unknown frame %u", request->kind);
	}
}

/* Read what has come and handle every frame that is whole. */
static void serve_port(void)
{
	static char buffer[sizeof(struct header) + PAYLOAD_MAX];
	static size_t filled;
	size_t at = 0;
	ssize_t size = read(port, buffer + filled, sizeof(buffer) - filled);

	if (size < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (size <= 0)
		die("reading from the port");
	filled += size;
	for (;;) {
		struct header request;

		if (filled - at < sizeof(request))
			break;
		memcpy(&request, buffer + at, sizeof(request));
		if (request.size > PAYLOAD_MAX) {
			errno = EPROTO;
			die("a frame too long");
		}
		if (filled - at - sizeof(request) < request.size)
			break;
		handle(&request, buffer + at + sizeof(request));
		at += sizeof(request) + request.size;
	}
	filled -= at;
	memmove(buffer, buffer + at, filled);
}

static void serve_pipe(struct source *source)
{
	struct process *process = source->process;

	if (carry_output(process, source->index)) {
		close_output(process, source->index);
		maybe_forget(process);
		free(source);
	}
}

static void serve_feed(struct source *source)
{
	struct process *process = source->process;
	int input = process->input;

	feed(process);
	if (!process->pending_size || process->input < 0) {
		if (process->input >= 0)
			epoll_ctl(poller, EPOLL_CTL_DEL, input, NULL);
		free(source);
	}
}

static void loop(int signals)
{
	struct epoll_event event;

	/* One event at a time: handling one may end what another is about. */
	for (;;) {
		struct source *source;

		if (epoll_wait(poller, &event, 1, -1) != 1)
			continue;
		source = event.data.ptr;
		switch (source->what) {
		case PORT:
			serve_port();
			break;
		case CHILDREN:
			reap(signals);
			break;
		case PIPE:
			serve_pipe(source);
			break;
		case FEED:
			serve_feed(source);
			break;
		}
	}
}

static int keep_namespace(const char *name)
{
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "/proc/self/ns/%s", name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		die(path);
	return fd;
}

static void prepare_system(void)
{
	mkdir("/proc", 0755);
	mkdir("/dev", 0755);
	mkdir("/host", 0755);
	mkdir("/nodes", 0755);
	if (mount("proc", "/proc", "proc", 0, "") ||
	    mount("devtmpfs", "/dev", "devtmpfs", 0, "") ||
	    mount("host", "/host", "hostfs", MS_RDONLY, "/") ||
	    mount("nodes", "/nodes", "tmpfs", 0, "mode=755"))
		die("mounting");
	own_pid_ns = keep_namespace("pid");
	own_net_ns = keep_namespace("net");
	own_uts_ns = keep_namespace("uts");
	own_ipc_ns = keep_namespace("ipc");
	setenv("PATH", SEARCH_PATH, 1);
}

static void say_ready(void)
{
	char release[256] = "";
	int fd = open("/proc/sys/kernel/osrelease", O_RDONLY | O_CLOEXEC);
	ssize_t size = fd < 0 ? 0 : read(fd, release, sizeof(release) - 1);

	if (fd >= 0)
		close(fd);
	if (size > 0 && release[size - 1] == '\n')
		size--;
	send_frame(READY, 0, 0, release, size > 0 ? size : 0);
}

int main(void)
{
	sigset_t children;
	int signals;

	signal(SIGPIPE, SIG_IGN);
	sigemptyset(&children);
	sigaddset(&children, SIGCHLD);
	sigprocmask(SIG_BLOCK, &children, NULL);
	prepare_system();
	signals = signalfd(-1, &children, SFD_CLOEXEC | SFD_NONBLOCK);
	poller = epoll_create1(EPOLL_CLOEXEC);
	port = open("/dev/vport0p0", O_RDWR | O_CLOEXEC | O_NONBLOCK);
	if (signals < 0 || poller < 0 || port < 0)
		die("opening the port");
	/* writing must wait for the host rather than fail */
	fcntl(port, F_SETFL, 0);
	watch(port, EPOLLIN, PORT, 0, NULL);
	watch(signals, EPOLLIN, CHILDREN, 0, NULL);
	say_ready();
	loop(signals);
}
