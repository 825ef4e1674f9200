#include "shadow/confine.h"

#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#if defined(__x86_64__)
#define OUR_ARCH AUDIT_ARCH_X86_64
#define FOREIGN_CALLS 0x40000000u /* x32's numbers */
#elif defined(__aarch64__)
#define OUR_ARCH AUDIT_ARCH_AARCH64
#define FOREIGN_CALLS 0xffffffffu
#endif

#ifdef OUR_ARCH

#define ARGUMENT                                                                                   \
    offsetof(struct seccomp_data, args) /* the first one: its low half, then its high one */
#define LOAD(offset) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (offset))
#define IF(value, skip, skip_else) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (value), (skip), (skip_else))
#define RETURN(what) BPF_STMT(BPF_RET | BPF_K, (what))
#define ALLOW RETURN(SECCOMP_RET_ALLOW)
#define DENY RETURN(SECCOMP_RET_ERRNO | EACCES)

void confine(const char *program, bool may_connect)
{
    const uint32_t never = UINT32_MAX;
    /* The one address that this program's name has now; in the new program it's no text of anybody's. */
    uint64_t name = (uint64_t) (uintptr_t) program;
    struct sock_filter rules[] = {
        LOAD(offsetof(struct seccomp_data, arch)),
        IF(OUR_ARCH, 1, 0),
        DENY,
        LOAD(offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, FOREIGN_CALLS, 0, 1),
        DENY,
        IF(SYS_execveat, 0, 1),
        DENY,
        IF(SYS_io_uring_setup, 0, 1), /* it makes calls that no filter sees */
        DENY,
        IF(may_connect ? never : SYS_connect, 0, 1),
        DENY,
        IF(SYS_execve, 0, 6),
        LOAD(ARGUMENT),
        IF((uint32_t) name, 0, 3),
        LOAD(ARGUMENT + 4),
        IF((uint32_t) (name >> 32), 0, 1),
        ALLOW,
        DENY,
        IF(may_connect ? never : SYS_socket, 0, 3),
        LOAD(ARGUMENT),
        IF(AF_UNIX, 1, 0),
        DENY,
        ALLOW,
    };
    struct sock_fprog filter = {sizeof rules / sizeof *rules, rules};

    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0)
        prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter);
}

#else

void confine(const char *program, bool may_connect)
{
    (void) program;
    (void) may_connect;
}

#endif
