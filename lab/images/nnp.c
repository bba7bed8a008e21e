/* Says as whom it runs. Its file belongs to root and has the set-user-id bit, which no_new_privs takes the effect from. */
#include <stdio.h>
#include <unistd.h>

int main(void) {
    printf("Effective uid: %d\n", (int)geteuid());
    return 0;
}
