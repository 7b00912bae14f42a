// SPDX-License-Identifier: Apache-2.0
/* What a node sees as its root. */
#include <linux/random.h>

#include "agent.h"

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
 * Hide a directory of the host behind one that is empty at first, and that
 * lives on when the node is powered off: /tmp and /run do not.
 */
static int mount_kept(unsigned int number, const char *name, mode_t mode, const char *target)
{
	char own[64];

	if (mkdir(target, 0755) && errno != EEXIST)
		return errno == ENOENT ? 0 : -1;
	snprintf(own, sizeof(own), "/nodes/%u/kept", number);
	mkdir(own, 0755);
	snprintf(own, sizeof(own), "/nodes/%u/kept/%s", number, name);
	if (!mkdir(own, 0755) && chmod(own, mode))
		return -1;
	return mount(own, target, NULL, MS_BIND, NULL) ||
	       mount(NULL, target, NULL, MS_BIND | MS_REMOUNT | MS_NOSUID | MS_NODEV, NULL);
}

/*
 * Each file that was made drew a random number, and how many there were is also the
 * host's affair. The kernel takes a new key from its seed, and all that was drawn
 * before is forgotten: what comes now depends on the lab alone.
 */
static int renew_randomness(const char *root)
{
	char path[80];
	int file, result;

	snprintf(path, sizeof(path), "%s/dev/urandom", root);
	file = open(path, O_RDONLY | O_CLOEXEC);
	if (file < 0)
		return -1;
	result = ioctl(file, RNDRESEEDCRNG);
	close(file);
	return result;
}

/*
 * The node's root: a private writable layer over the host's tree. What is the
 * user's own, or the host's present state, is hidden behind empty directories.
 */
int make_root(const struct node_start *start)
{
	static const struct { const char *path, *options; } empty[] = {
		{ "tmp", "mode=1777" }, { "run", "mode=755" },
	};
	static const struct { const char *path, *name; mode_t mode; } kept[] = {
		{ "var/tmp", "var-tmp", 01777 }, { "root", "root", 0755 },
		{ "home", "home", 0755 },
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
	for (i = 0; i < sizeof(kept) / sizeof(*kept); i++) {
		snprintf(path, sizeof(path), "%s/%s", root, kept[i].path);
		if (mount_kept(start->number, kept[i].name, kept[i].mode, path))
			return -1;
	}
	if (!(start->namespaces & CLONE_NEWNET))
		mount_system_extras(root);
	for (i = 0; i < start->place_count; i++, place += strlen(place) + 1)
		if ((*place == 'r' || *place == 'w') && show(base, root, place, i))
			return -1;
	if (renew_randomness(root))
		return -1;
	if (chdir(root) || mount(".", "/", NULL, MS_MOVE, NULL) || chroot(".") || chdir("/"))
		return -1;
	return 0;
}
