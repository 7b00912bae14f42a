// SPDX-License-Identifier: Apache-2.0
/* Sysctls and interfaces: what is set from inside a node's namespaces. */
#include "agent.h"

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

void set_sysctls(const struct header *request, struct reader *reader)
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

/*
 * A socket for the network of a node; it stays there when we are back.
 * `network` is what setns(2) takes: a process or a network.
 */
static int open_rtnetlink(const struct node *node, int network)
{
	bool elsewhere = node->namespaces & CLONE_NEWNET;
	int fd, on = 1;

	if (elsewhere && setns(network, CLONE_NEWNET))
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

/* Send all messages of a request; whether all of them went well. */
static bool tell_network(const struct header *request, struct reader *reader,
			 const struct node *node, int network)
{
	uint32_t count = 0;
	char words[512];
	int fd, error = 0;

	fd = open_rtnetlink(node, network);
	if (fd < 0) {
		send_error(request, errno, "entering the network of node %u", request->node);
		return false;
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
	return !error;
}

void configure_network(const struct header *request, struct reader *reader)
{
	struct node *node = find_node(request->node);

	if (!node)
		send_error(request, EINVAL, "no node %u", request->node);
	else	/* cables can be pulled out of a machine without power */
		tell_network(request, reader, node, node->off ? node->network : node->pidfd);
}

/* What a node still has in the network of its last life; that one ends then. */
void hand_over(const struct header *request, struct reader *reader)
{
	struct node *node = find_node(request->node);

	if (!node || node->network < 0) {
		send_error(request, EINVAL, "node %u has had no other network", request->node);
		return;
	}
	if (tell_network(request, reader, node, node->network)) {
		close(node->network);
		node->network = -1;
	}
}
