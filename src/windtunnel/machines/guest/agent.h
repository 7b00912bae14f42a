// SPDX-License-Identifier: Apache-2.0
/* What the parts of the agent share; agent.c says what it is. */
#ifndef WINDTUNNEL_AGENT_H
#define WINDTUNNEL_AGENT_H

#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/netlink.h>
#include <linux/openat2.h>
#include <poll.h>
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
#include <sys/prctl.h>
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
	SYSCTL, RESIZE, POWER_OFF, NETLINK, FREEZE, MEMORY, KILL_ALL, NODE_OFF,
	HAND_OVER, STEP_CLOCK, DRIFT_CLOCK, DEVICE, MOUNT, FILL, COUNTERS,
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
	bool exists, off, frozen;
	bool fails;		/* all of it at once: it has a cgroup, if there are any */
	uint32_t namespaces;	/* clone(2) flags */
	pid_t pid;		/* its first process, in our pid namespace */
	int pidfd;
	int root;		/* O_PATH of its root directory */
	int network;		/* that it had when its power went; -1: none is left */
	int cgroup;		/* its directory; -1: this kernel has no cgroups, or the base */
	int members;		/* cgroup.procs of all its processes but the first; -1: none */
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

/* Reads the parts of a payload; `bad` once it was too short. */
struct reader {
	const char *at, *end;
	bool bad;
};

struct node_start {
	uint16_t number;
	uint32_t namespaces;
	uint32_t place_count;
	const char *name, *host_root, *places;
	int report;
	int cgroup;		/* of the node; -1: none */
};

extern int port;	/* to the host */
extern int poller;	/* of epoll */
extern int own_pid_ns, own_net_ns, own_uts_ns, own_ipc_ns;
extern struct process *processes;

/* frames.c */
void die(const char *what);
void send_frame(enum kind kind, uint16_t node, uint32_t number, const void *payload, uint32_t size);
void send_ok(const struct header *request, const void *payload, uint32_t size);
__attribute__((format(printf, 3, 4)))
void send_error(const struct header *request, int number, const char *format, ...);
uint32_t take_u32(struct reader *reader);
int64_t take_i64(struct reader *reader);
char *take_string(struct reader *reader);

/* node.c */
struct node *find_node(uint16_t number);
size_t count_nodes(void);
bool is_away(const struct header *request);
void add_node(const struct header *request, struct reader *reader);

/* root.c */
int make_root(const struct node_start *start);

/* cgroup.c */
void make_cgroup(struct node *node, uint16_t number);
int join_first(int cgroup);
int write_cgroup(const struct node *node, const char *name, const char *value);
struct node *find_grouped(const struct header *request);
void freeze_node(const struct header *request, struct reader *reader);
void kill_all(const struct header *request);

/* memory.c */
void limit_memory(const struct header *request, struct reader *reader);

/* clock.c */
void step_clock(const struct header *request, struct reader *reader);
void drift_clock(const struct header *request, struct reader *reader);

/* power.c */
void power_off_node(const struct header *request, struct reader *reader);

/* process.c */
void watch(int fd, uint32_t events, int what, int index, struct process *process);
struct process *find_process(uint32_t number);
bool carry_output(struct process *process, int index);
void close_output(struct process *process, int index);
void maybe_forget(struct process *process);
void feed(struct process *process);
void spawn(const struct header *request, struct reader *reader);
void reap(int signals);
void reap_until(pid_t last);
void take_input(struct process *process, struct reader *reader);
void send_signal(struct process *process, uint32_t signal_number);
void resize(struct process *process, struct reader *reader);

/* files.c */
int open_in(struct node *node, const char *path, int flags, int mode);
void make_parents(struct node *node, const char *path);
void write_file(const struct header *request, struct reader *reader);
void read_file(const struct header *request, struct reader *reader);

/* network.c */
void set_sysctls(const struct header *request, struct reader *reader);
void configure_network(const struct header *request, struct reader *reader);
void hand_over(const struct header *request, struct reader *reader);

/* volume.c */
void show_device(const struct header *request, struct reader *reader);
void mount_volume(const struct header *request, struct reader *reader);
void fill_volume(const struct header *request, struct reader *reader);

/* counters.c */
void tell_counters(const struct header *request);

/* program.c */
void fail(const char *what) __attribute__((noreturn));
void write_out(const char *data, size_t size);
int told_to_end(void);

/* capture.c */
int capture(int count, char **arguments);

/* trace.c */
int trace(int count, char **arguments);

#endif
