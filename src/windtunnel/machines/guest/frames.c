// SPDX-License-Identifier: Apache-2.0
/* Frames to the host, and the parts of those from it. */
#include "agent.h"

int port = -1;

void die(const char *what)
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

void send_frame(enum kind kind, uint16_t node, uint32_t number,
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

void send_ok(const struct header *request, const void *payload, uint32_t size)
{
	send_frame(OK, request->node, request->number, payload, size);
}

void send_error(const struct header *request, int number, const char *format, ...)
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

uint32_t take_u32(struct reader *reader)
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

int64_t take_i64(struct reader *reader)
{
	uint64_t low = take_u32(reader), high = take_u32(reader);

	return (int64_t)(high << 32 | low);
}

char *take_string(struct reader *reader)
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
