// SPDX-License-Identifier: Apache-2.0
/* Processes in nodes: starting them, carrying what they say, and their end. */
#include "agent.h"

struct process *processes;

void watch(int fd, uint32_t events, int what, int index, struct process *process)
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

struct process *find_process(uint32_t number)
{
	struct process *process;

	for (process = processes; process; process = process->next)
		if (process->number == number)
			return process;
	return NULL;
}

void close_output(struct process *process, int index)
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
void maybe_forget(struct process *process)
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
bool carry_output(struct process *process, int index)
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
	uint32_t flags, costs[3];
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

/* What the calling task and its children pay for computing; it begins with 0. */
static void set_costs(const uint32_t costs[3])
{
	static const char *const names[3] = { "/proc/sys/um/syscall_cost_ns",
		"/proc/sys/um/fault_cost_ns", "/proc/sys/um/switch_cost_ns" };
	char text[16];
	int index, fd;

	for (index = 2; index >= 0; index--) {
		if (!costs[index])
			continue;
		fd = open(names[index], O_WRONLY | O_CLOEXEC);
		snprintf(text, sizeof(text), "%u", costs[index]);
		if (fd < 0 || write(fd, text, strlen(text)) < 0)
			child_fail(names[index]);
		close(fd);
	}
}

static void child_main(struct node *node, struct spawn_plan *plan)
{
	uint32_t join = node->namespaces & ~CLONE_NEWPID;
	sigset_t none;
	int signal_number;

	setsid();
	if (node->members >= 0 && write(node->members, "0", 1) != 1)
		child_fail("joining the node's cgroup");
	for (signal_number = 1; signal_number < NSIG; signal_number++)
		signal(signal_number, SIG_DFL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	set_costs(plan->costs);
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

void spawn(const struct header *request, struct reader *reader)
{
	struct spawn_plan plan = { .input = { -1, -1 }, .output = { -1, -1 },
				   .errors = { -1, -1 }, .master = -1 };
	struct node *node = find_node(request->node);
	uint32_t argc, envc, report;
	pid_t pid = -1;

	plan.flags = take_u32(reader);
	plan.costs[0] = take_u32(reader);
	plan.costs[1] = take_u32(reader);
	plan.costs[2] = take_u32(reader);
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
	struct {
		uint32_t status;
		uint64_t user, system, rss_max, waits, preemptions;
	} __attribute__((packed)) report;
	int index;

	for (index = 0; index < 2; index++)
		if (carry_output(process, index))
			close_output(process, index);
	report.status = status;
	report.user = usage->ru_utime.tv_sec * 1000000000ull + usage->ru_utime.tv_usec * 1000ull;
	report.system = usage->ru_stime.tv_sec * 1000000000ull + usage->ru_stime.tv_usec * 1000ull;
	report.rss_max = usage->ru_maxrss * 1024ull;
	report.waits = usage->ru_nvcsw;
	report.preemptions = usage->ru_nivcsw;
	send_frame(EXIT, process->node, process->number, &report, sizeof(report));
	process->pid = 0;
	maybe_forget(process);
}

static void report_child(pid_t pid, int status, const struct rusage *usage)
{
	struct process *process;

	for (process = processes; process; process = process->next)
		if (process->pid == pid) {
			report_exit(process, status, usage);
			break;
		}
}

void reap(int signals)
{
	struct signalfd_siginfo info;
	struct rusage usage;
	int status;
	pid_t pid;

	while (read(signals, &info, sizeof(info)) > 0)
		;
	while ((pid = wait4(-1, &status, WNOHANG, &usage)) > 0)
		report_child(pid, status, &usage);
}

/* Wait for children until the one that is named has ended, too. */
void reap_until(pid_t last)
{
	struct rusage usage;
	int status;
	pid_t pid;

	while ((pid = wait4(-1, &status, 0, &usage)) != last)
		if (pid > 0)
			report_child(pid, status, &usage);
		else if (errno != EINTR)
			die("waiting for a node's end");
}

/* Feed what a process' pipe takes now; epoll tells when it takes more. */
void feed(struct process *process)
{

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
	if (!process->pending_size && process->input_ends)
		close_input(process);
}

void take_input(struct process *process, struct reader *reader)
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

void send_signal(struct process *process, uint32_t signal_number)
{
	if (process->pid && kill(-process->pid, signal_number))
		kill(process->pid, signal_number);	/* not yet its own group */
}

void resize(struct process *process, struct reader *reader)
{
	struct winsize size = { 0 };

	size.ws_row = take_u32(reader);
	size.ws_col = take_u32(reader);
	if (process->terminal && !reader->bad && process->output[0] >= 0)
		ioctl(process->output[0], TIOCSWINSZ, &size);
}
