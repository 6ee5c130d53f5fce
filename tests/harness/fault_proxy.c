#include "tests/harness/fault_proxy.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static void die(const char *what, const char *detail)
{
    fprintf(stderr, "fault_proxy: %s: %s\n", what, detail);
    abort();
}

void fault_proxy_start(struct fault_proxy *p, const char *listen, const char *target)
{
    int in[2], out[2];
    char line[300] = "";
    if (pipe2(in, O_CLOEXEC) || pipe2(out, O_CLOEXEC))
        die("pipe", strerror(errno));
    p->pid = fork();
    if (p->pid < 0)
        die("fork", strerror(errno));
    if (p->pid == 0) {
        dup2(in[0], STDIN_FILENO);
        dup2(out[1], STDOUT_FILENO);
        execl(FAULTPROXY_PROGRAM, "faultproxy", listen, target, (char *)NULL);
        _exit(127);
    }
    close(in[0]);
    close(out[1]);
    p->orders = fdopen(in[1], "w");
    p->answers = fdopen(out[0], "r");
    unsigned port = 0;
    if (!p->orders || !p->answers || !fgets(line, sizeof line, p->answers) ||
        strncmp(line, "listening ", 10) != 0)
        die("does not start: " FAULTPROXY_PROGRAM, line);
    sscanf(line, "listening %u", &port);
    p->port = (uint16_t)port;
}

void fault_proxy_say(struct fault_proxy *p, const char *order)
{
    char line[300] = "";
    fprintf(p->orders, "%s\n", order);
    fflush(p->orders);
    if (!fgets(line, sizeof line, p->answers) || strcmp(line, "ok\n") != 0)
        die(order, line);
}

void fault_proxy_stop(struct fault_proxy *p)
{
    fclose(p->orders); /* its end is the proxy's end */
    int status = 0;
    while (waitpid(p->pid, &status, 0) < 0 && errno == EINTR)
        continue;
    fclose(p->answers);
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
        die("ended badly", "see its words above");
}
