// SPDX-License-Identifier: Apache-2.0
/*
 * Watching interfaces: every frame with its time and direction, as it is sent
 * and before any queue, and as it arrives.
 *
 * Runs as a process of its own: `capture MAGIC PID:INDEX:WAYS …`, one argument an
 * interface (a process of its network, its index there, and 1 for what arrives,
 * 2 for what is sent, 3 for both). It writes records to stdout; wire/watch.py
 * describes them. It says "ready" on stderr once it sees everything, and ends
 * with SIGTERM, after the last record.
 *
 * Two programs of a few instructions run at tcx, in front of the queue on the way
 * out and in front of the protocols on the way in. Neither `ip`, `tc` nor a
 * capture in the node shows them, and what a kernel does takes no virtual time.
 * The way out leaves a number on each packet, in a part of its control block
 * that netem and veth leave alone (they use the first 8 of its 20 bytes), and the
 * way in at the other end reads it: so it is certain which frame arrived.
 */
#include "agent.h"
#include <linux/bpf.h>
#include <poll.h>
#include <stddef.h>
#include <sys/mman.h>

#define TCX_INGRESS 46		/* enum bpf_attach_type, since Linux 6.6 */
#define TCX_EGRESS 47
#define TCX_NEXT -1
#define KTIME_GET_TAI_NS 208	/* enum bpf_func_id, since Linux 6.1 */
#define WAYS_IN 1
#define WAYS_OUT 2

/* 64 packets of the largest size that come at one instant; a power of two. */
#define RING_SIZE (4u << 20)
#define FRAME_MAX 65600		/* the largest packet of segmentation offload */

/* What the programs share: a counter, what did not fit, and a record being made. */
struct scratch {
	uint32_t number;
	uint32_t lost;
	struct record {		/* wire/watch.py */
		uint64_t time_ns;
		uint32_t magic;
		uint32_t number;
		uint32_t point;
		uint32_t size;
		uint32_t kept;
		uint32_t vlan_present;
		uint32_t vlan_tci;
		uint32_t vlan_proto;
		uint32_t lost;
		uint32_t zero;
		uint8_t frame[FRAME_MAX];
	} record;
};

#define AT(field) offsetof(struct scratch, field)
#define RECORD_HEAD offsetof(struct record, frame)
#define OF_SKB(field) offsetof(struct __sk_buff, field)

#define OP(code, dst, src, off, imm) ((struct bpf_insn){ code, dst, src, off, imm })
#define MOVE(dst, src) OP(BPF_ALU64 | BPF_MOV | BPF_X, dst, src, 0, 0)
#define SET(dst, value) OP(BPF_ALU64 | BPF_MOV | BPF_K, dst, 0, 0, value)
#define ADD(dst, value) OP(BPF_ALU64 | BPF_ADD | BPF_K, dst, 0, 0, value)
#define LOAD(dst, src, off) OP(BPF_LDX | BPF_MEM | BPF_W, dst, src, off, 0)
#define STORE(dst, off, src) OP(BPF_STX | BPF_MEM | BPF_W, dst, src, off, 0)
#define STORE64(dst, off, src) OP(BPF_STX | BPF_MEM | BPF_DW, dst, src, off, 0)
#define CALL(function) OP(BPF_JMP | BPF_CALL, 0, 0, 0, function)
#define JUMP(op, dst, value, off) OP(BPF_JMP | (op) | BPF_K, dst, 0, off, value)
#define MAP(dst, what, fd) OP(BPF_LD | BPF_DW | BPF_IMM, dst, what, 0, fd), OP(0, 0, 0, 0, 0)

static int bpf(int command, union bpf_attr *attr)
{
	return syscall(SYS_bpf, command, attr, sizeof(*attr));
}

static int make_map(uint32_t type, uint32_t key, uint32_t value, uint32_t entries)
{
	union bpf_attr attr = { .map_type = type, .key_size = key, .value_size = value,
				.max_entries = entries };
	int fd = bpf(BPF_MAP_CREATE, &attr);

	if (fd < 0)
		fail("making room for a capture");
	return fd;
}

/* A program for one point: an interface and a way. r6 is the packet, r7 the scratch. */
static int make_program(int scratch, int ring, uint32_t magic, uint32_t point, bool out)
{
	const struct bpf_insn number_it[] = {
		LOAD(BPF_REG_1, BPF_REG_7, AT(number)),
		ADD(BPF_REG_1, 1),
		STORE(BPF_REG_7, AT(number), BPF_REG_1),
		STORE(BPF_REG_7, AT(record.number), BPF_REG_1),
		STORE(BPF_REG_6, OF_SKB(cb[3]), BPF_REG_1),
		SET(BPF_REG_1, magic),
		STORE(BPF_REG_7, AT(record.magic), BPF_REG_1),
		STORE(BPF_REG_6, OF_SKB(cb[2]), BPF_REG_1),
	};
	const struct bpf_insn read_number[] = {
		LOAD(BPF_REG_1, BPF_REG_6, OF_SKB(cb[2])),
		STORE(BPF_REG_7, AT(record.magic), BPF_REG_1),
		LOAD(BPF_REG_1, BPF_REG_6, OF_SKB(cb[3])),
		STORE(BPF_REG_7, AT(record.number), BPF_REG_1),
		/* so that nobody takes it for another's when it is passed on */
		SET(BPF_REG_1, 0),
		STORE(BPF_REG_6, OF_SKB(cb[2]), BPF_REG_1),
		STORE(BPF_REG_6, OF_SKB(cb[3]), BPF_REG_1),
		MOVE(BPF_REG_1, BPF_REG_1),
	};
	_Static_assert(sizeof(number_it) == sizeof(read_number), "the rest is the same");
	struct bpf_insn program[] = {
		MOVE(BPF_REG_6, BPF_REG_1),
		MAP(BPF_REG_7, BPF_PSEUDO_MAP_VALUE, scratch),
		CALL(KTIME_GET_TAI_NS),
		STORE64(BPF_REG_7, AT(record.time_ns), BPF_REG_0),
		[5 ... 12] = MOVE(BPF_REG_1, BPF_REG_1),	/* one of the two above */
		SET(BPF_REG_1, point),
		STORE(BPF_REG_7, AT(record.point), BPF_REG_1),
		LOAD(BPF_REG_1, BPF_REG_6, OF_SKB(vlan_present)),
		STORE(BPF_REG_7, AT(record.vlan_present), BPF_REG_1),
		LOAD(BPF_REG_1, BPF_REG_6, OF_SKB(vlan_tci)),
		STORE(BPF_REG_7, AT(record.vlan_tci), BPF_REG_1),
		LOAD(BPF_REG_1, BPF_REG_6, OF_SKB(vlan_proto)),
		STORE(BPF_REG_7, AT(record.vlan_proto), BPF_REG_1),
		LOAD(BPF_REG_1, BPF_REG_7, AT(lost)),
		STORE(BPF_REG_7, AT(record.lost), BPF_REG_1),
		LOAD(BPF_REG_8, BPF_REG_6, OF_SKB(len)),
		STORE(BPF_REG_7, AT(record.size), BPF_REG_8),
		JUMP(BPF_JLE, BPF_REG_8, FRAME_MAX, 1),
		SET(BPF_REG_8, FRAME_MAX),
		STORE(BPF_REG_7, AT(record.kept), BPF_REG_8),
		JUMP(BPF_JLT, BPF_REG_8, 1, 19),
		MOVE(BPF_REG_1, BPF_REG_6),
		SET(BPF_REG_2, 0),
		MOVE(BPF_REG_3, BPF_REG_7),
		ADD(BPF_REG_3, AT(record.frame)),
		MOVE(BPF_REG_4, BPF_REG_8),
		CALL(BPF_FUNC_skb_load_bytes),
		JUMP(BPF_JNE, BPF_REG_0, 0, 12),
		MAP(BPF_REG_1, BPF_PSEUDO_MAP_FD, ring),
		MOVE(BPF_REG_2, BPF_REG_7),
		ADD(BPF_REG_2, AT(record)),
		MOVE(BPF_REG_3, BPF_REG_8),
		ADD(BPF_REG_3, RECORD_HEAD),
		SET(BPF_REG_4, 0),
		CALL(BPF_FUNC_ringbuf_output),
		JUMP(BPF_JEQ, BPF_REG_0, 0, 3),
		LOAD(BPF_REG_1, BPF_REG_7, AT(lost)),
		ADD(BPF_REG_1, 1),
		STORE(BPF_REG_7, AT(lost), BPF_REG_1),
		SET(BPF_REG_0, TCX_NEXT),
		OP(BPF_JMP | BPF_EXIT, 0, 0, 0, 0),
	};
	static char log[4096];
	union bpf_attr attr = { .prog_type = BPF_PROG_TYPE_SCHED_CLS,
				.insn_cnt = sizeof(program) / sizeof(*program),
				.insns = (uintptr_t)program, .license = (uintptr_t)"Apache-2.0" };
	int fd;

	memcpy(program + 5, out ? number_it : read_number, sizeof(number_it));
	fd = bpf(BPF_PROG_LOAD, &attr);
	if (fd < 0) {
		int number = errno;

		attr.log_level = 1;
		attr.log_buf = (uintptr_t)log;
		attr.log_size = sizeof(log);
		bpf(BPF_PROG_LOAD, &attr);
		fprintf(stderr, "%s", log);
		errno = number;
		fail("loading a capture");
	}
	return fd;
}

static void attach(int program, uint32_t index, bool out)
{
	union bpf_attr attr = { .link_create = { .prog_fd = program, .target_ifindex = index,
						 .attach_type = out ? TCX_EGRESS : TCX_INGRESS } };

	if (bpf(BPF_LINK_CREATE, &attr) < 0)
		fail("attaching a capture (needs Linux 6.6)");
}

struct ring {
	volatile unsigned long *consumer, *producer;
	const char *data;
};

/* The pages of a ring: ours, the kernel's, and the data twice (kernel/bpf/ringbuf.c). */
static struct ring map_ring(int fd)
{
	size_t page = sysconf(_SC_PAGESIZE);
	struct ring ring;
	char *theirs;

	ring.consumer = mmap(NULL, page, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	theirs = mmap(NULL, page + 2 * (size_t)RING_SIZE, PROT_READ, MAP_SHARED, fd, page);
	if (ring.consumer == MAP_FAILED || theirs == MAP_FAILED)
		fail("mapping a capture");
	ring.producer = (unsigned long *)theirs;
	ring.data = theirs + page;
	return ring;
}

static void drain(struct ring *ring)
{
	unsigned long at = *ring->consumer;

	while (at < __atomic_load_n(ring->producer, __ATOMIC_ACQUIRE)) {
		const char *head = ring->data + (at & (RING_SIZE - 1));
		uint32_t size = __atomic_load_n((const uint32_t *)head, __ATOMIC_ACQUIRE);

		if (size & BPF_RINGBUF_BUSY_BIT)
			return;
		if (!(size & BPF_RINGBUF_DISCARD_BIT))
			write_out(head + BPF_RINGBUF_HDR_SZ, size);
		size &= ~BPF_RINGBUF_DISCARD_BIT;
		at += (size + BPF_RINGBUF_HDR_SZ + 7) / 8 * 8;
		__atomic_store_n(ring->consumer, at, __ATOMIC_RELEASE);
	}
}

int capture(int count, char **arguments)
{
	int scratch = make_map(BPF_MAP_TYPE_ARRAY, 4, sizeof(struct scratch), 1);
	int ring_fd = make_map(BPF_MAP_TYPE_RINGBUF, 0, 0, RING_SIZE);
	struct ring ring = map_ring(ring_fd);
	struct pollfd sources[2] = { { .fd = ring_fd, .events = POLLIN }, { .events = POLLIN } };
	uint32_t magic = strtoul(arguments[0], NULL, 10);
	int i;

	sources[1].fd = told_to_end();
	for (i = 1; i < count; i++) {
		unsigned int pid, index, ways;
		int process;

		if (sscanf(arguments[i], "%u:%u:%u", &pid, &index, &ways) != 3)
			return 2;
		process = syscall(SYS_pidfd_open, pid, 0);
		if (process < 0 || setns(process, CLONE_NEWNET))
			fail("entering a node's network");
		close(process);
		if (ways & WAYS_IN)
			attach(make_program(scratch, ring_fd, magic, 2 * i - 2, false), index, false);
		if (ways & WAYS_OUT)
			attach(make_program(scratch, ring_fd, magic, 2 * i - 1, true), index, true);
	}
	fprintf(stderr, "ready\n");
	for (;;) {
		if (poll(sources, 2, -1) < 0)
			continue;
		drain(&ring);
		if (sources[1].revents)
			return 0;
	}
}
