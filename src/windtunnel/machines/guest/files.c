// SPDX-License-Identifier: Apache-2.0
/* Files of nodes. */
#include "agent.h"

/* As open(2) below a node's root, whatever links its path goes through. */
int open_in(struct node *node, const char *path, int flags, int mode)
{
	struct open_how how = { .flags = flags | O_CLOEXEC,
				.mode = flags & O_CREAT ? mode : 0,
				.resolve = RESOLVE_IN_ROOT };

	return syscall(SYS_openat2, node->root, path, &how, sizeof(how));
}

/* Make the folders that a path of a node goes through. */
void make_parents(struct node *node, const char *path)
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

void write_file(const struct header *request, struct reader *reader)
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

void read_file(const struct header *request, struct reader *reader)
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
