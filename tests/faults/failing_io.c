/* SPDX-License-Identifier: MIT */
/* failing_io.c — a library to preload: one of the program's reads (r), writes (w), syncs (s), renames (n) and openings
 * (o) fails (program.h says which), with EIO, a write with ENOSPC.
 *
 * FAULTS_UNDER=D  what concerns files below the folder D is counted; standard output, pipes and sockets always are
 * FAULTS_KILL=1   the program is killed instead, before the call; a write is killed when half of it is written. Only
 *                 writes, syncs, renames and removals (u) of files below D are counted: no instant between two of them
 *                 leaves other files than one of these.
 *
 * The kernel is asked to stop at these system calls (seccomp), so that none is missed, whichever library makes it:
 * those of stdio, SQLite and zlib, too. What is let through goes by way of libc's syscall(), at which it does not stop.
 */
#define _GNU_SOURCE /* RTLD_NEXT, ucontext's registers */
#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <ucontext.h>

#include "tests/faults/program.h"

#ifndef __x86_64__
#error "registers of other processors are not known here"
#endif

enum { PATH = 4096, SYSCALL_BYTES = 64 };

static const struct {
    long number;
    char kind;
    bool named; /* by a path, after `directories` arguments */
    int directories;
} counted[] = {
    {SYS_read, 'r', false, 0},       {SYS_pread64, 'r', false, 0},   {SYS_readv, 'r', false, 0},
    {SYS_getdents64, 'r', false, 0}, {SYS_write, 'w', false, 0},     {SYS_pwrite64, 'w', false, 0},
    {SYS_writev, 'w', false, 0},     {SYS_ftruncate, 'w', false, 0}, {SYS_fsync, 's', false, 0},
    {SYS_fdatasync, 's', false, 0},  {SYS_rename, 'n', true, 0},     {SYS_renameat, 'n', true, 1},
    {SYS_renameat2, 'n', true, 1},   {SYS_open, 'o', true, 0},       {SYS_openat, 'o', true, 1},
    {SYS_unlink, 'u', true, 0},      {SYS_unlinkat, 'u', true, 1},
};
enum { COUNTED = sizeof counted / sizeof *counted };

static char folder[PATH];
static bool kills;

/* Whether the fault may be in what this call concerns. */
static bool is_ours(size_t which, const greg_t *registers, char *path)
{
    const int arguments[] = {REG_RDI, REG_RSI};
    if (strchr(kills ? "ro" : "u", counted[which].kind))
        return false;
    if (counted[which].named) {
        const char *name = (const char *)registers[arguments[counted[which].directories]];
        snprintf(path, PATH, "%s", name);
        return *name != '/' || strncmp(name, folder, strlen(folder)) == 0;
    }
    char link[64];
    int fd = (int)registers[REG_RDI];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, PATH - 1);
    path[length > 0 ? length : 0] = 0;
    if (fd == STDERR_FILENO) /* a sentence that cannot be said is not missed */
        return false;
    if (kills)
        return strncmp(path, folder, strlen(folder)) == 0;
    return fd == STDOUT_FILENO || strncmp(path, folder, strlen(folder)) == 0 || strncmp(path, "socket:", 7) == 0 ||
           strncmp(path, "pipe:", 5) == 0;
}

/* Half of a write is done, nothing of another call. */
static void die_at(size_t which, const greg_t *registers)
{
    long bytes = registers[REG_RDX] / 2;
    if (counted[which].number == SYS_write)
        syscall(SYS_write, registers[REG_RDI], registers[REG_RSI], bytes);
    else if (counted[which].number == SYS_pwrite64)
        syscall(SYS_pwrite64, registers[REG_RDI], registers[REG_RSI], bytes, registers[REG_R10]);
    kill(getpid(), SIGKILL);
}

static void on_call(int signal_number, siginfo_t *info, void *context)
{
    (void)signal_number;
    greg_t *registers = ((ucontext_t *)context)->uc_mcontext.gregs;
    int before = errno;
    size_t which = 0;
    char path[PATH], title[PATH + 32];
    while (which < COUNTED && counted[which].number != info->si_syscall)
        which++;
    if (which < COUNTED && !inside && started && is_ours(which, registers, path)) {
        snprintf(title, sizeof title, "failed %c %s\n", counted[which].kind, path);
        if (call_fails(counted[which].kind, title)) {
            if (kills)
                die_at(which, registers);
            registers[REG_RAX] = counted[which].kind == 'w' ? -ENOSPC : -EIO;
            errno = before;
            return;
        }
    }
    errno = 0;
    long result = syscall(info->si_syscall, registers[REG_RDI], registers[REG_RSI], registers[REG_RDX],
                          registers[REG_R10], registers[REG_R8], registers[REG_R9]);
    registers[REG_RAX] = result == -1 && errno ? -errno : result;
    errno = before;
}

static void before_main(void)
{
    const char *under = getenv("FAULTS_UNDER"), *kill_there = getenv("FAULTS_KILL");
    const struct sigaction act = {.sa_sigaction = on_call, .sa_flags = SA_SIGINFO | SA_NODEFER | SA_RESTART};
    struct sock_filter filter[2 * COUNTED + 8];
    unsigned short n = 0;
    union {
        long (*function)(long, ...);
        uint64_t address;
    } through = {.function = syscall};
    snprintf(folder, sizeof folder, "%s", under ? under : "/");
    kills = kill_there && *kill_there == '1';
    sigaction(SIGSYS, &act, NULL);
    filter[n++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr));
    for (size_t i = 0; i < COUNTED; i++) /* to the address, or on */
        filter[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)counted[i].number,
                                                   (unsigned char)(COUNTED - i), 0);
    filter[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
    filter[n++] =
        (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, instruction_pointer));
    filter[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, (uint32_t)through.address, 0, 2);
    filter[n++] =
        (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, (uint32_t)through.address + SYSCALL_BYTES, 1, 0);
    filter[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
    filter[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRAP);
    const struct sock_fprog program = {n, filter};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program))
        _exit(126); /* the runner says that the machine does not allow it */
}
