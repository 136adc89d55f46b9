// floor DIRECTORY OUTPUT: the least work that any image builder has to do. Reads
// every file below the directory once and writes its bytes, each file aligned to
// 4 KiB, into one output with writes of 256 KiB; what does not fit into one
// buffer is copied within the kernel where that is possible. No names, no
// attributes, no order, no durability.
#define _GNU_SOURCE
#include <dirent.h>
#include <err.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { BLOCK = 4096, BUFFER = 256 * 1024 };

static _Alignas(BLOCK) char buffer[BUFFER];
static size_t filled; // always a multiple of BLOCK between files
static int output;

static void write_all(const char *bytes, size_t length) {
    while (length > 0) {
        ssize_t written = write(output, bytes, length);
        if (written < 0)
            err(1, "write");
        bytes += written;
        length -= (size_t)written;
    }
}

static void flush(void) {
    write_all(buffer, filled);
    filled = 0;
}

// Copies the rest of a file of which the buffer's worth was read, and leaves the
// output at the next block.
static void copy_rest(int file) {
    ssize_t copied;
    do
        copied = copy_file_range(file, NULL, output, NULL, 1 << 30, 0);
    while (copied > 0);
    if (copied < 0) // another file system: through the buffer
        while ((copied = read(file, buffer, BUFFER)) > 0)
            write_all(buffer, (size_t)copied);
    if (copied < 0)
        err(1, "read");
    off_t end = lseek(output, 0, SEEK_CUR);
    if (lseek(output, -end & (BLOCK - 1), SEEK_CUR) < 0)
        err(1, "lseek");
}

static void add_file(int directory, const char *name) {
    int file = openat(directory, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    if (file < 0)
        err(1, "%s", name);
    size_t space = BUFFER - filled;
    ssize_t length = read(file, buffer + filled, space);
    if (length < 0)
        err(1, "%s", name);
    size_t padding = -(size_t)length & (BLOCK - 1);
    memset(buffer + filled + length, 0, padding);
    filled += (size_t)length + padding;
    if (filled == BUFFER)
        flush();
    if ((size_t)length == space)
        copy_rest(file);
    close(file);
}

// Takes over the descriptor.
static void add_directory(int directory) {
    DIR *stream = fdopendir(directory);
    if (!stream)
        err(1, "fdopendir");
    for (struct dirent *entry; (entry = readdir(stream));) {
        if (entry->d_type == DT_REG) {
            add_file(directory, entry->d_name);
        } else if (entry->d_type == DT_DIR && strcmp(entry->d_name, ".") &&
                   strcmp(entry->d_name, "..")) {
            int child = openat(directory, entry->d_name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
            if (child < 0)
                err(1, "%s", entry->d_name);
            add_directory(child);
        }
    }
    closedir(stream);
}

int main(int argc, char **argv) {
    if (argc != 3)
        errx(2, "usage: floor DIRECTORY OUTPUT");
    int directory = open(argv[1], O_RDONLY | O_DIRECTORY);
    if (directory < 0)
        err(1, "%s", argv[1]);
    output = open(argv[2], O_WRONLY | O_CREAT | O_TRUNC, 0600);
    if (output < 0)
        err(1, "%s", argv[2]);
    add_directory(directory);
    flush();
    if (ftruncate(output, lseek(output, 0, SEEK_CUR)) < 0)
        err(1, "ftruncate");
}
