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
#include "agent.h"

int poller = -1;
int own_pid_ns = -1, own_net_ns = -1, own_uts_ns = -1, own_ipc_ns = -1;

static void handle(const struct header *request, char *payload)
{
	struct reader reader = { payload, payload + request->size, false };
	struct process *process = find_process(request->number);

	if (is_away(request))
		return;
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
	case HAND_OVER:
		hand_over(request, &reader);
		break;
	case FREEZE:
		freeze_node(request, &reader);
		break;
	case MEMORY:
		limit_memory(request, &reader);
		break;
	case KILL_ALL:
		kill_all(request);
		break;
	case NODE_OFF:
		power_off_node(request, &reader);
		break;
	case STEP_CLOCK:
		step_clock(request, &reader);
		break;
	case DRIFT_CLOCK:
		drift_clock(request, &reader);
		break;
	case DEVICE:
		show_device(request, &reader);
		break;
	case MOUNT:
		mount_volume(request, &reader);
		break;
	case FILL:
		fill_volume(request, &reader);
		break;
	case COUNTERS:
		tell_counters(request);
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
	/* a kernel without cgroups lacks only some of the faults: cgroup.c says so then */
	mkdir("/cgroup", 0755);
	mount("cgroup2", "/cgroup", "cgroup2", 0, "");
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

/* We are not the first process, but one that it was told to start from itself. */
static int other_program(int argc, char **argv)
{
	if (argc > 1)
		prctl(PR_SET_NAME, argv[1]);
	if (argc > 2 && !strcmp(argv[1], "capture"))
		return capture(argc - 2, argv + 2);
	if (argc > 2 && !strcmp(argv[1], "trace"))
		return trace(argc - 2, argv + 2);
	return 2;
}

int main(int argc, char **argv)
{
	sigset_t children;
	int signals;

	/* the first process gets words of the kernel's command line */
	if (getpid() != 1)
		return other_program(argc, argv);
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
