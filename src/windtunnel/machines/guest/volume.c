// SPDX-License-Identifier: Apache-2.0
/* Volumes of nodes: their devices, mounting them, and filling them up. */
#include "agent.h"
#include <sys/statvfs.h>

/* Files without a name that take all that is free of a file system. */
struct filling {
	struct filling *next;
	uint16_t node;
	int fd;
	char path[];
};

static struct filling *fillings;

/* Have a node see a block device of ours: the same name in its /dev. */
void show_device(const struct header *request, struct reader *reader)
{
	struct node *node = find_node(request->node);
	char *name = take_string(reader), path[64];
	struct stat info;
	int folder;

	if (!node || reader->bad || strchr(name, '/')) {
		send_error(request, EINVAL, "bad request for a device");
		return;
	}
	snprintf(path, sizeof(path), "/dev/%s", name);
	folder = open_in(node, "/dev", O_PATH | O_DIRECTORY, 0);
	if (folder < 0 || stat(path, &info))
		send_error(request, errno, "%s", path);
	else if (mknodat(folder, name, S_IFBLK | 0660, info.st_rdev) && errno != EEXIST)
		send_error(request, errno, "making %s", path);
	else
		send_ok(request, "", 0);
	if (folder >= 0)
		close(folder);
}

/* In a child that shares our memory: why it could not mount; 0 if it could. */
static volatile int mount_errno;

static void mount_inside(struct node *node, const char *device, const char *path, const char *type)
{
	/* the namespace's root is ours then, too */
	if (setns(node->pidfd, CLONE_NEWNS) || mount(device, path, type, 0, ""))
		mount_errno = errno;
	_exit(0);
}

void mount_volume(const struct header *request, struct reader *reader)
{
	struct node *node = find_node(request->node);
	char *device = take_string(reader), *path = take_string(reader);
	char *type = take_string(reader), place[4096];
	pid_t pid;

	if (!node || reader->bad ||
	    snprintf(place, sizeof(place), "%s/", path) >= (int)sizeof(place)) {
		send_error(request, EINVAL, "bad request to mount a volume");
		return;
	}
	make_parents(node, place);
	mount_errno = 0;
	pid = vfork();
	if (pid == 0)
		mount_inside(node, device, path, type);
	if (pid < 0)
		mount_errno = errno;
	else
		reap_until(pid);
	if (mount_errno)
		send_error(request, mount_errno, "mounting %s at %s", device, path);
	else
		send_ok(request, "", 0);
}

/*
 * Take every block that is free, those that are kept for root as well: first
 * all at once, then what is left by writing. What is reserved for writes that
 * came before becomes free, or used, when they are done: so look again then.
 */
static int fill(int fd)
{
	static const char zeroes[4096];
	struct statvfs facts;
	bool more = true;
	off_t end;

	if (fsync(fd) || fstatvfs(fd, &facts))
		return -1;
	end = (off_t)facts.f_bfree * facts.f_frsize;
	if (end && fallocate(fd, 0, 0, end) && errno != ENOSPC)
		return -1;
	if (lseek(fd, end, SEEK_SET) < 0)
		return -1;
	while (more) {
		more = false;
		while (write(fd, zeroes, sizeof(zeroes)) > 0)
			more = true;
		if (errno != ENOSPC || fsync(fd))
			return -1;
	}
	return 0;
}

static void start_filling(const struct header *request, struct node *node, const char *path)
{
	struct filling *filling = malloc(sizeof(*filling) + strlen(path) + 1);

	if (!filling)
		die("memory");
	filling->fd = open_in(node, path, O_TMPFILE | O_RDWR, 0);
	if (filling->fd < 0 || fill(filling->fd)) {
		send_error(request, errno, "filling %s", path);
		if (filling->fd >= 0)
			close(filling->fd);
		free(filling);
		return;
	}
	filling->node = request->node;
	strcpy(filling->path, path);
	filling->next = fillings;
	fillings = filling;
	send_ok(request, "", 0);
}

/* Fill the file system at a path, or give back what that has taken. */
void fill_volume(const struct header *request, struct reader *reader)
{
	struct node *node = find_node(request->node);
	uint32_t on = take_u32(reader);
	char *path = take_string(reader);
	struct filling **link = &fillings, *filling;

	if (!node || reader->bad) {
		send_error(request, EINVAL, "bad request to fill a volume");
		return;
	}
	while ((filling = *link) && (filling->node != request->node || strcmp(filling->path, path)))
		link = &filling->next;
	if (on && !filling) {
		start_filling(request, node, path);
		return;
	}
	if (!on && filling) {
		*link = filling->next;
		close(filling->fd);
		free(filling);
	}
	send_ok(request, "", 0);
}
