/* The shell of the busybox image: busybox's own, whose words tests know. Debian's drops environment names with dashes and dots,
   which the public image's passes on to what it starts: where there are any, bash takes its place. */
#include <string.h>
#include <unistd.h>

extern char **environ;

static int is_odd(const char *variable) {
    size_t length = strcspn(variable, "=");
    size_t plain = strspn(variable, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_");
    return plain < length;
}

int main(int count, char **arguments) {
    const char *shell = "/bin/busybox";
    (void)count;
    for (char **variable = environ; *variable; variable++) {
        if (is_odd(*variable)) {
            shell = "/bin/bash";
        }
    }
    execv(shell, arguments);
    return 127;
}
