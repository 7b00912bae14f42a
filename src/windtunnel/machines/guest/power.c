// SPDX-License-Identifier: Apache-2.0
/*
 * A node without power: its processes, mounts and sockets are gone, its files
 * and its interfaces wait for the next NODE_ADD of the same number.
 */
#include "agent.h"
#include <ftw.h>
#include <net/if.h>

/*
 * Take all interfaces of a node down: their peers lose the carrier at once, and
 * no socket gets to say goodbye.
 */
static int take_down(const struct node *node)
{
	struct if_nameindex *all, *one;
	int fd, result = 0;

	if (setns(node->network, CLONE_NEWNET))
		return -1;
	fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	all = if_nameindex();
	if (fd < 0 || !all)
		result = -1;
	for (one = all; !result && one->if_index; one++) {
		struct ifreq request = { 0 };

		memcpy(request.ifr_name, one->if_name, strlen(one->if_name));
		result = ioctl(fd, SIOCGIFFLAGS, &request);
		request.ifr_flags &= ~IFF_UP;
		if (!result)
			result = ioctl(fd, SIOCSIFFLAGS, &request);
	}
	if (all)
		if_freenameindex(all);
	if (fd >= 0)
		close(fd);
	if (setns(own_net_ns, CLONE_NEWNET))
		die("leaving a node");
	return result;
}

static int remove_one(const char *path, const struct stat *info, int type, struct FTW *where)
{
	(void)info;
	(void)type;
	/* the directory itself stays */
	return where->level ? remove(path) : 0;
}

static int remove_files(uint16_t number)
{
	static const char *const parts[] = { "upper", "kept" };
	char path[64];
	size_t i;

	for (i = 0; i < sizeof(parts) / sizeof(*parts); i++) {
		snprintf(path, sizeof(path), "/nodes/%u/%s", number, parts[i]);
		if (nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS | FTW_MOUNT))
			return -1;
	}
	return 0;
}

/* End all that runs in a node, whose network is kept. */
static int cut_power(struct node *node)
{
	char path[64];

	if (node->network < 0) {
		snprintf(path, sizeof(path), "/proc/%d/ns/net", node->pid);
		node->network = open(path, O_RDONLY | O_CLOEXEC);
	}
	if (node->network < 0 || take_down(node))
		return -1;
	/* the end of its first process is the end of them all, frozen or not */
	kill(node->pid, SIGKILL);
	reap_until(node->pid);
	write_cgroup(node, "cgroup.freeze", "0");
	close(node->root);
	close(node->pidfd);
	node->root = node->pidfd = -1;
	node->frozen = false;
	node->off = true;
	return 0;
}

void power_off_node(const struct header *request, struct reader *reader)
{
	struct node *node = find_node(request->node);
	uint32_t wipe = take_u32(reader);

	if (!node || !(node->namespaces & CLONE_NEWPID) || !(node->namespaces & CLONE_NEWNET))
		send_error(request, EINVAL, "no node %u that can fail", request->node);
	else if (!node->off && cut_power(node))
		send_error(request, errno, "taking the interfaces down");
	else if (wipe && remove_files(request->node))
		send_error(request, errno, "removing its files");
	else
		send_ok(request, "", 0);
}
