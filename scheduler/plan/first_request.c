#include "scheduler/plan/first_request.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

enum { STEP_BYTES = 1 << 16, WORDS_MAX = 512 };

static NORETURN void become_render(const char *program, const char *dir, int in, int out, int bad)
{
    dup2(in, STDIN_FILENO);
    dup2(out, STDOUT_FILENO);
    dup2(bad, STDERR_FILENO);
    execl(program, "sluice-worker", "render", "-C", dir, (char *)NULL);
    _exit(127);
}

/* It reads all of its input before it writes. */
static enum err_code write_all(int fd, struct slice s, struct err *err)
{
    while (s.n) {
        ssize_t n = write(fd, s.p, s.n);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return err_errno(err, errno, "the batch cannot be given to sluice-worker");
        s = slice_of(s.p + n, s.n - (size_t)n);
    }
    return ERR_OK;
}

static enum err_code read_all(int fd, struct buf *out, struct err *err)
{
    for (;;) {
        if (buf_reserve(out, STEP_BYTES))
            return err_set(err, ERR_FULL, "the request is too long to be shown");
        ssize_t n = read(fd, out->p + out->len, STEP_BYTES);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return err_errno(err, errno, "the answer of sluice-worker cannot be read");
        if (!n)
            return ERR_OK;
        out->len += (size_t)n;
    }
}

static void close_all(int *fds, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (fds[i] >= 0)
            close(fds[i]);
}

/* Standard error goes to a file: nobody reads it while the answer is read. */
static enum err_code complain(FILE *bad, int status, struct err *err)
{
    char words[WORDS_MAX];
    rewind(bad);
    size_t n = fread(words, 1, sizeof words - 1, bad);
    while (n && words[n - 1] == '\n')
        n--;
    return err_set(err, ERR_IO,
                   "the first request cannot be shown (sluice-worker ended with %d): %.*s",
                   WIFEXITED(status) ? WEXITSTATUS(status) : -1, (int)n, words);
}

static enum err_code converse(pid_t pid, int *fds, FILE *bad, struct slice batch, struct buf *out,
                              struct err *err)
{
    int status = 0;
    struct err wrote, got;
    enum err_code written = write_all(fds[1], batch, &wrote);
    close(fds[1]);
    fds[1] = -1;
    enum err_code rc = read_all(fds[2], out, &got);
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        continue;
    if (!WIFEXITED(status) || WEXITSTATUS(status))
        return complain(bad, status, err);
    if (written || rc)
        *err = written ? wrote : got;
    return written ? written : rc;
}

enum err_code first_request(const char *worker_program, const char *project_dir, struct slice batch,
                            struct buf *out, struct err *err)
{
    int fds[4] = {-1, -1, -1, -1}; /* its standard input: read, write; output: read, write */
    FILE *bad = tmpfile();
    if (!bad || pipe2(fds, O_CLOEXEC) || pipe2(fds + 2, O_CLOEXEC)) {
        int code = errno;
        if (bad)
            fclose(bad);
        close_all(fds, ARRAY_LEN(fds));
        return err_errno(err, code, "sluice-worker cannot be started");
    }
    void (*before)(int) = signal(SIGPIPE, SIG_IGN);
    pid_t pid = fork();
    if (pid == 0)
        become_render(worker_program, project_dir, fds[0], fds[3], fileno(bad));
    close(fds[0]);
    close(fds[3]);
    fds[0] = fds[3] = -1;
    enum err_code rc = pid < 0 ? err_errno(err, errno, "sluice-worker cannot be started")
                               : converse(pid, fds, bad, batch, out, err);
    signal(SIGPIPE, before);
    close_all(fds, ARRAY_LEN(fds));
    fclose(bad);
    return rc;
}
