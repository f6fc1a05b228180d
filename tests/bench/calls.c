// Counts what a program writes to the files below a directory, and how often it has them synced:
// for `make bench`. The calls are counted, not the kernel's account of pages, which merges what
// several calls write to one page and tells nothing of syncs.
//
// usage: calls COUNTS DIR PROGRAM [ARGUMENT...]
// Runs the program until it ends, and ends with its code. COUNTS is a file that always holds the
// counts so far: `counts` below, in this machine's byte order. A filter in the kernel stops the
// program at the calls that matter and at no other; a stop costs some 10 us, so CPU and answer
// times are to be taken from a run without this.
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    FILES_MAX = 256,     // descriptors that are remembered
    IO_VECTORS_MAX = 64, // of one call; LMDB gives 64 at most
    PATH_BYTES_MAX = 4096,
    CANNOT_RUN = 127, // exit code, as a shell's
};

typedef struct {
    uint64_t pid;
    uint64_t writes;
    uint64_t bytes;         // that write calls were given; msync: the length of its range
    uint64_t syncs;         // fsync, fdatasync, msync
    uint64_t synced_writes; // to files opened with O_SYNC or O_DSYNC; not among the syncs
} counts;

// What is known of a descriptor. A descriptor keeps what it was at the first of its calls: the
// agent opens its store once, and writes to nothing below the directory by another.
typedef enum { UNKNOWN, ELSEWHERE, BELOW, BELOW_SYNCED } place;

typedef struct {
    counts *counts; // in the file
    const char *dir_z;
    pid_t program;
    place places[FILES_MAX];
} tracer;

static const long traced[] = {SYS_write,    SYS_writev, SYS_pwrite64,  SYS_pwritev,
                              SYS_pwritev2, SYS_fsync,  SYS_fdatasync, SYS_msync};

enum { TRACED = sizeof(traced) / sizeof(traced[0]) };

static _Noreturn void die(const char *what_z)
{
    (void)fprintf(stderr, "calls: %s: %s\n", what_z, strerror(errno));
    exit(CANNOT_RUN);
}

// ---- the program ----

static _Noreturn void run_program(char **argv)
{
    struct sock_filter code[TRACED + 3];
    struct sock_fprog filter = {.len = TRACED + 3, .filter = code};
    code[0] =
        (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr));
    for (size_t i = 0; i < TRACED; i++)
        code[i + 1] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)traced[i],
                                                   (uint8_t)(TRACED - i), 0);
    code[TRACED + 1] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
    code[TRACED + 2] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRACE);
    // The tracer sets its options while the program has not begun.
    if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) != 0 || raise(SIGSTOP) != 0)
        die("ptrace");
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
        prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) != 0)
        die("seccomp");
    (void)execv(argv[0], argv);
    _exit(CANNOT_RUN);
}

// ---- counting ----

static place find_place(const tracer *t, int fd)
{
    char link_z[64];
    char path_z[PATH_BYTES_MAX];
    (void)snprintf(link_z, sizeof(link_z), "/proc/%d/fd/%d", (int)t->program, fd);
    const ssize_t len = readlink(link_z, path_z, sizeof(path_z));
    const size_t dir_len = strlen(t->dir_z);
    if (len < 0 || (size_t)len < dir_len || memcmp(path_z, t->dir_z, dir_len) != 0)
        return ELSEWHERE;
    (void)snprintf(link_z, sizeof(link_z), "/proc/%d/fdinfo/%d", (int)t->program, fd);
    FILE *info = fopen(link_z, "r");
    unsigned flags = 0;
    if (info == NULL || fscanf(info, "pos: %*s flags: %o", &flags) != 1)
        die(link_z);
    (void)fclose(info);
    return flags & O_DSYNC ? BELOW_SYNCED : BELOW; // O_SYNC has this bit, too
}

static place place_of(tracer *t, uint64_t fd)
{
    if (fd >= FILES_MAX)
        return find_place(t, (int)fd);
    if (t->places[fd] == UNKNOWN)
        t->places[fd] = find_place(t, (int)fd);
    return t->places[fd];
}

static uint64_t vector_bytes(pid_t thread, uint64_t address, uint64_t count)
{
    struct iovec vectors[IO_VECTORS_MAX];
    const size_t len = count * sizeof(vectors[0]);
    if (count > IO_VECTORS_MAX) {
        errno = E2BIG;
        die("a write of many parts");
    }
    const struct iovec local = {.iov_base = vectors, .iov_len = len};
    const struct iovec remote = {.iov_base = (void *)(uintptr_t)address, .iov_len = len};
    if (process_vm_readv(thread, &local, 1, &remote, 1, 0) != (ssize_t)len)
        die("the parts of a write");
    uint64_t bytes = 0;
    for (size_t i = 0; i < count; i++)
        bytes += vectors[i].iov_len;
    return bytes;
}

// Counts the call that a thread is about to make. LMDB takes a write that is shorter than asked for
// an error, so what is asked is what is written.
static void count_call(tracer *t, pid_t thread)
{
    struct __ptrace_syscall_info call = {0};
    if (ptrace(PTRACE_GET_SYSCALL_INFO, thread, sizeof(call), &call) <= 0)
        return; // the thread was killed meanwhile
    const long number = (long)call.seccomp.nr;
    const uint64_t *arguments = call.seccomp.args;
    if (number == SYS_msync) {
        t->counts->syncs++;
        t->counts->bytes += arguments[1];
        return;
    }
    const place where = place_of(t, arguments[0]);
    if (where == ELSEWHERE)
        return;
    if (number == SYS_fsync || number == SYS_fdatasync) {
        t->counts->syncs++;
        return;
    }
    t->counts->writes++;
    t->counts->synced_writes += where == BELOW_SYNCED;
    t->counts->bytes += number == SYS_write || number == SYS_pwrite64
                            ? arguments[2]
                            : vector_bytes(thread, arguments[1], arguments[2]);
}

// Follows all threads until the program ends. Returns its exit code.
static int follow(tracer *t)
{
    for (;;) {
        int status;
        const pid_t thread = waitpid(-1, &status, __WALL);
        if (thread < 0)
            die("wait");
        if (!WIFSTOPPED(status)) {
            if (thread != t->program)
                continue;
            return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
        }
        const int event = status >> 16;
        int signal = WSTOPSIG(status);
        if (event == PTRACE_EVENT_SECCOMP)
            count_call(t, thread);
        // A new thread begins with a stop; nobody else sends this signal.
        if (event != 0 || signal == SIGSTOP)
            signal = 0;
        (void)ptrace(PTRACE_CONT, thread, NULL, (void *)(intptr_t)signal); // or it was killed
    }
}

static counts *map_counts(const char *path_z)
{
    const int fd = open(path_z, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0 || ftruncate(fd, sizeof(counts)) != 0)
        die(path_z);
    counts *map = mmap(NULL, sizeof(counts), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (map == MAP_FAILED)
        die(path_z);
    (void)close(fd);
    return map;
}

int main(int argc, char **argv)
{
    if (argc < 4) {
        (void)fprintf(stderr, "usage: calls COUNTS DIR PROGRAM [ARGUMENT...]\n");
        return 64;
    }
    tracer t = {.counts = map_counts(argv[1]), .dir_z = argv[2]};
    t.program = fork();
    if (t.program < 0)
        die("fork");
    if (t.program == 0)
        run_program(argv + 3);
    int status;
    if (waitpid(t.program, &status, 0) != t.program || !WIFSTOPPED(status))
        die("start");
    const long options = PTRACE_O_EXITKILL | PTRACE_O_TRACESECCOMP | PTRACE_O_TRACECLONE |
                         PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK | PTRACE_O_TRACEEXEC;
    if (ptrace(PTRACE_SETOPTIONS, t.program, NULL, (void *)options) != 0 ||
        ptrace(PTRACE_CONT, t.program, NULL, NULL) != 0)
        die("ptrace");
    t.counts->pid = (uint64_t)t.program;
    return follow(&t);
}
