#include "shadow/confine.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#if __has_include(<linux/landlock.h>)
#include <linux/landlock.h>
#endif
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

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
#define SECOND_ARGUMENT (offsetof(struct seccomp_data, args) + 8)
#define LOAD(offset) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (offset))
#define IF(value, skip, skip_else) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (value), (skip), (skip_else))
#define RETURN(what) BPF_STMT(BPF_RET | BPF_K, (what))
#define ALLOW RETURN(SECCOMP_RET_ALLOW)
#define DENY RETURN(SECCOMP_RET_ERRNO | EACCES)

#define SOCKET_TYPES 0xf /* without SOCK_CLOEXEC and SOCK_NONBLOCK */

static void confine_calls(const char *program, bool may_connect)
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
        IF(SYS_setxattr, 0, 1), /* of files anywhere */
        DENY,
        IF(SYS_lsetxattr, 0, 1),
        DENY,
        IF(SYS_fsetxattr, 0, 1),
        DENY,
        IF(SYS_execve, 0, 6),
        LOAD(ARGUMENT),
        IF((uint32_t) name, 0, 3),
        LOAD(ARGUMENT + 4),
        IF((uint32_t) (name >> 32), 0, 1),
        ALLOW,
        DENY,
        IF(may_connect ? never : SYS_socket, 0, 7),
        LOAD(ARGUMENT),
        IF(AF_UNIX, 1, 0),
        DENY,
        LOAD(SECOND_ARGUMENT),
        BPF_STMT(BPF_ALU | BPF_AND | BPF_K, SOCKET_TYPES),
        IF(SOCK_STREAM, 1, 0), /* a datagram needs no connect */
        DENY,
        ALLOW,
    };
    struct sock_fprog filter = {sizeof rules / sizeof *rules, rules};

    prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter);
}

#else

static void confine_calls(const char *program, bool may_connect)
{
    (void) program;
    (void) may_connect;
}

#endif

/* ---- files --------------------------------------------------------------------------------------- */

#ifdef LANDLOCK_CREATE_RULESET_VERSION

#ifndef LANDLOCK_ACCESS_FS_REFER /* to move between folders, from the second version on */
#define LANDLOCK_ACCESS_FS_REFER (1ULL << 13)
#endif

#ifndef LANDLOCK_ACCESS_FS_TRUNCATE /* from the third version on */
#define LANDLOCK_ACCESS_FS_TRUNCATE (1ULL << 14)
#endif

/* As in the newest version; older ones are told a size up to which they know it. */
struct ruleset {
    uint64_t handled_access_fs, handled_access_net, scoped;
};
#define SCOPE_ABSTRACT_SOCKETS (1ULL << 0) /* from the sixth version on */
#define SCOPE_SIGNALS (1ULL << 1)

static void allow(int rules, const char *path, uint64_t rights)
{
    struct landlock_path_beneath_attr rule = {.allowed_access = rights,
                                              .parent_fd = open(path, O_PATH | O_CLOEXEC)};

    if (rule.parent_fd < 0)
        return;
    syscall(SYS_landlock_add_rule, rules, LANDLOCK_RULE_PATH_BENEATH, &rule, 0);
    close(rule.parent_fd);
}

static void confine_files(const char *writable)
{
    uint64_t file = LANDLOCK_ACCESS_FS_WRITE_FILE;
    uint64_t all = file | LANDLOCK_ACCESS_FS_REMOVE_DIR | LANDLOCK_ACCESS_FS_REMOVE_FILE |
                   LANDLOCK_ACCESS_FS_MAKE_CHAR | LANDLOCK_ACCESS_FS_MAKE_DIR |
                   LANDLOCK_ACCESS_FS_MAKE_REG | LANDLOCK_ACCESS_FS_MAKE_SOCK |
                   LANDLOCK_ACCESS_FS_MAKE_FIFO | LANDLOCK_ACCESS_FS_MAKE_BLOCK |
                   LANDLOCK_ACCESS_FS_MAKE_SYM;
    long version = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);

    if (version < 1)
        return;
    if (version >= 2)
        all |= LANDLOCK_ACCESS_FS_REFER;
    if (version >= 3) {
        all |= LANDLOCK_ACCESS_FS_TRUNCATE;
        file |= LANDLOCK_ACCESS_FS_TRUNCATE;
    }
    struct ruleset attr = {.handled_access_fs = all};
    if (version >= 6)
        attr.scoped = SCOPE_ABSTRACT_SOCKETS | SCOPE_SIGNALS;
    int rules = (int) syscall(SYS_landlock_create_ruleset, &attr,
                              version >= 6 ? sizeof attr : sizeof attr.handled_access_fs, 0);
    if (rules < 0)
        return;
    if (writable)
        allow(rules, writable, all);
    allow(rules, "/dev/null", file);
    syscall(SYS_landlock_restrict_self, rules, 0);
    close(rules);
}

#else

static void confine_files(const char *writable) { (void) writable; }

#endif

void confine(const char *program, bool may_connect, const char *writable)
{
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
        return;
    confine_files(writable);
    confine_calls(program, may_connect);
}
