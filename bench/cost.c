// SPDX-License-Identifier: Apache-2.0
// Does one thing N times: `cost syscall N`, `cost exec N` (itself) or `cost true N`.

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static int start(char *program, char *argument)
{
	char *argv[] = {program, argument, "0", NULL};
	int status;
	pid_t pid = fork();

	if (!pid) {
		execv(program, argv);
		_exit(127);
	}
	return pid < 0 || waitpid(pid, &status, 0) != pid || status;
}

int main(int argc, char **argv)
{
	long left = argc == 3 ? atol(argv[2]) : -1;

	if (left < 0) {
		fprintf(stderr, "usage: cost syscall|exec|true N\n");
		return 2;
	}
	for (; left > 0; left--) {
		if (!strcmp(argv[1], "syscall"))
			syscall(SYS_getppid);
		else if (start(strcmp(argv[1], "exec") ? "/bin/true" : argv[0], "syscall")) {
			fprintf(stderr, "a process could not be started\n");
			return 1;
		}
	}
	return 0;
}
