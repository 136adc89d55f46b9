// measure COUNT COMMAND...: runs the command COUNT times, one after the other,
// with its standard output discarded, and prints the sums of wall and CPU time
// in nanoseconds, the largest peak memory in KiB and the sum of minor page faults.
// In each argument the first "{}" stands for the number of the run, from 0.
//
// It is a program of its own because the kernel counts a child's memory from
// before its exec: under a large parent every child would look large. It starts
// them by vfork(2), because fork(2) copies page tables: that time would be added to
// all that is measured, and ratios of short runs would look nearer to 1.
#define _GNU_SOURCE
#include <err.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static long long now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * 1000000000LL + time.tv_nsec;
}

static long long nanoseconds(struct timeval time) {
    return time.tv_sec * 1000000000LL + time.tv_usec * 1000LL;
}

static char *expand(char *argument, long run) {
    char *braces = strstr(argument, "{}"), *expanded;
    if (!braces)
        return argument;
    if (asprintf(&expanded, "%.*s%ld%s", (int)(braces - argument), argument, run, braces + 2) < 0)
        err(125, "asprintf");
    return expanded;
}

// The child shares this program's memory until its exec: it calls nothing but the kernel.
static pid_t start(char **command, int null) {
    pid_t child = vfork();
    if (child < 0)
        err(125, "vfork");
    if (child == 0) {
        if (dup2(null, STDOUT_FILENO) < 0)
            _exit(125);
        execv(command[0], command);
        _exit(125);
    }
    return child;
}

int main(int argc, char **argv) {
    if (argc < 3)
        errx(125, "usage: measure COUNT COMMAND...");
    char **command = calloc((size_t)argc - 1, sizeof *command);
    int null = open("/dev/null", O_WRONLY | O_CLOEXEC);
    if (!command || null < 0)
        err(125, "/dev/null");
    long count = strtol(argv[1], NULL, 10), peak = 0, faults = 0;
    long long cpu = 0, wall = 0;
    for (long run = 0; run < count; run++) {
        struct rusage usage;
        int status;
        for (int argument = 2; argument < argc; argument++)
            command[argument - 2] = expand(argv[argument], run);
        long long before = now();
        if (wait4(start(command, null), &status, 0, &usage) < 0)
            err(125, "wait4");
        wall += now() - before;
        if (status != 0)
            errx(1, "%s failed: wait status %#x", argv[2], status);
        cpu += nanoseconds(usage.ru_utime) + nanoseconds(usage.ru_stime);
        faults += usage.ru_minflt;
        if (usage.ru_maxrss > peak)
            peak = usage.ru_maxrss;
    }
    printf("%lld %lld %ld %ld\n", wall, cpu, peak, faults);
}
