/* SPDX-License-Identifier: Apache-2.0 */
/* `beachhead-server`: the sub-commands, and the children of `run`, which re-executes this program.
 */
#include "commands.h"
#include "ipc/child.h"

#include <stdio.h>

static const struct {
    const char *name;
    int (*run)(int argc, char **argv);
    const char *what;
} commands[] = {
    {"init", pas_init_command, "make a server's folder: root, issuing CA, configuration"},
    {"run", pas_run_command, "serve"},
    {"check", pas_check_command, "report every problem of a server's folder"},
};

static const struct {
    const char *name;
    int (*run)(void);
} children[] = {
    {"frontend", pas_frontend_main},
    {"verifier", pas_verifier_main},
    {"authority", pas_authority_main},
    {"signer", pas_signer_main},
};

#ifdef BH_SANITIZED
/* The leak checker traces the process, which a confined one does not allow. */
static int is_child;
__attribute__((visibility("default"))) int __lsan_is_turned_off(void);

int
__lsan_is_turned_off(void)
{
    return is_child;
}
#endif

static int
usage(FILE *to)
{
    (void)fputs("usage: beachhead-server COMMAND [OPTION]...\n\n", to);
    for (size_t i = 0; i < BH_COUNT(commands); i++)
        (void)fprintf(to, "  %-7s %s\n", commands[i].name, commands[i].what);
    (void)fputs("\n`beachhead-server COMMAND --help` says more.\n"
                "example: beachhead-server init --dir /var/lib/beachhead --trust-domain "
                "fleet.example --root-out /media/usb/root\n",
        to);
    return to == stdout ? 0 : 2;
}

static int
run_child(const char *name)
{
#ifdef BH_SANITIZED
    is_child = 1;
#endif
    for (size_t i = 0; i < BH_COUNT(children); i++)
        if (strcmp(children[i].name, name) == 0)
            return children[i].run();
    return 2;
}

int
main(int argc, char **argv)
{
    if (argc == 3 && strcmp(argv[1], "--child") == 0)
        return run_child(argv[2]);
    if (argc >= 2 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0))
        return usage(stdout);
    if (argc == 2 && strcmp(argv[1], "--version") == 0) {
        (void)printf("beachhead-server %s\n", BH_VERSION);
        return 0;
    }
    for (size_t i = 0; argc >= 2 && i < BH_COUNT(commands); i++)
        if (strcmp(commands[i].name, argv[1]) == 0)
            return commands[i].run(argc - 1, argv + 1);
    if (argc >= 2)
        (void)fprintf(stderr, "beachhead-server: there is no command \"%s\"\n", argv[1]);
    return usage(stderr);
}
