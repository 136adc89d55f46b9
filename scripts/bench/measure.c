// measure COUNT COMMAND...: runs the command COUNT times, one after the other,
// with its standard output discarded, and prints the sums of wall and CPU time
// in nanoseconds and the largest peak memory in KiB. In each argument the first
// "{}" stands for the number of the run, from 0.
//
// It is a program of its own because the kernel counts a child's memory from
// before its exec: under a large parent every child would look large.
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

static void run_command(char **command, long run) {
    for (char **argument = command; *argument; argument++)
        *argument = expand(*argument, run);
    int null = open("/dev/null", O_WRONLY);
    if (null < 0 || dup2(null, STDOUT_FILENO) < 0)
        err(125, "/dev/null");
    execv(command[0], command);
    err(125, "%s", command[0]);
}

int main(int argc, char **argv) {
    if (argc < 3)
        errx(125, "usage: measure COUNT COMMAND...");
    long count = strtol(argv[1], NULL, 10), peak = 0;
    long long cpu = 0, start = now();
    for (long run = 0; run < count; run++) {
        struct rusage usage;
        int status;
        pid_t child = fork();
        if (child < 0)
            err(125, "fork");
        if (child == 0)
            run_command(argv + 2, run);
        if (wait4(child, &status, 0, &usage) < 0)
            err(125, "wait4");
        if (status != 0)
            errx(1, "%s failed: wait status %#x", argv[2], status);
        cpu += nanoseconds(usage.ru_utime) + nanoseconds(usage.ru_stime);
        if (usage.ru_maxrss > peak)
            peak = usage.ru_maxrss;
    }
    printf("%lld %lld %ld\n", now() - start, cpu, peak);
}
